"""The tokenizer of a network's text side, as `tokenizer.json` with padding and truncation to a fixed length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focusedfashion.encoders.hub_repo import Repo
from focusedfashion.errors import EncoderError, MissingExtra

TOKENIZER = "tokenizer.json"
SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")  # beside it, in transformers' layout

# What SigLIP was trained to see: no punctuation (ASCII's), single blanks.
_PUNCTUATION = r"[!-/:-@\[-`{-~]"


@dataclass(frozen=True, slots=True)
class Text:
    """How a network reads texts: `length` tokens; `lower` case; whether `canonical`, without punctuation.

    An underscore then becomes a blank, as SigLIP's authors and open_clip have it; transformers leaves it out.
    """

    length: int
    lower: bool
    canonical: bool

    def describe(self) -> dict[str, Any]:
        """The entry `text` of encoder.json."""
        return {"length": self.length, "lower": self.lower}


def write_tokenizer(source: str, config: Mapping[str, Any], text: Text, fallback: str, folder: Path, name: str) -> None:
    """Writes `tokenizer.json` of one in the same format, `source`, so that it gives exactly `text.length` ids.

    `config` is tokenizer_config.json's, and `fallback` what pads where nothing says it. Raises EncoderError.
    """
    try:
        from tokenizers import Regex, Tokenizer, normalizers
    except ImportError:
        raise MissingExtra(f"the text side of {name}", "hub") from None
    try:
        tokenizer = Tokenizer.from_str(source)
        own = tokenizer.padding or {}
        pad = _read_token(config.get("pad_token")) or own.get("pad_token") or fallback
        number = tokenizer.token_to_id(pad)
        if number is None:
            raise EncoderError(f"{name}: its tokenizer pads with {pad!r}, which it does not know")
        if text.canonical:
            steps = [
                normalizers.Replace("_", " "),
                normalizers.Replace(Regex(_PUNCTUATION), ""),
                normalizers.Replace(Regex(r"\s+"), " "),
                normalizers.Strip(),
            ]
            tokenizer.normalizer = normalizers.Sequence(
                [*steps, *([tokenizer.normalizer] if tokenizer.normalizer else [])]
            )
        tokenizer.enable_truncation(text.length)
        side = str(config.get("padding_side") or "right")
        tokenizer.enable_padding(direction=side, pad_id=number, pad_token=pad, length=text.length)
        ids = tokenizer.encode("a red dress " * text.length).ids
    except EncoderError:
        raise
    except Exception as error:  # the library raises plain ones
        raise EncoderError(f"{name}: its {TOKENIZER} cannot be read ({error})") from None
    if len(ids) != text.length:
        raise EncoderError(f"{name}: its tokenizer gives {len(ids)} tokens, not {text.length}")
    tokenizer.save(str(folder / TOKENIZER))


def read_settings(repo: Repo) -> dict[str, Any]:
    """What transformers' files beside tokenizer.json say: the pad token, the side of the padding, the class."""
    return repo.read_json(SETTINGS[1]) | repo.read_json(SETTINGS[0])


def read_siglip(settings: Mapping[str, Any], length: int) -> Text:
    """SigLIP's texts are in lower case; those of the first version have no punctuation, Gemma's of the second do."""
    gemma = str(settings.get("tokenizer_class", "")).startswith(("Gemma", "Siglip2"))
    return Text(length, lower=True, canonical=not gemma)


def _read_token(entry: Any) -> str:
    found = entry.get("content", "") if isinstance(entry, dict) else entry
    return str(found or "")
