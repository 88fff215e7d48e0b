"""Lightning's Trainer as a recipe wants it, with what a user asks of it, and its troubles in one line."""

from __future__ import annotations

import errno
import inspect
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from focusedfashion.errors import RecipeError
from focusedfashion.training.recipe import Recipe, suggest

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOG_STEPS = 50  # between two lines of the log

# Arguments of the Trainer that the recipe or the run decides.
_OWN = {
    "max_epochs": "set epochs in the recipe",
    "min_epochs": "set epochs in the recipe",
    "max_steps": "set epochs in the recipe",
    "accumulate_grad_batches": "set accumulate in the recipe",
    "default_root_dir": "name the folder with -o",
    "enable_checkpointing": "a run is always resumable",
    "use_distributed_sampler": "rows are always parted among devices",
    "fast_dev_run": "use limit_train_batches=1",
    "logger": "the log is written as CSV and for TensorBoard",
    "callbacks": "they are the run's own",
    "num_sanity_val_steps": "the run has none",
}


def parse_wishes(pairs: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE texts for `lightning.Trainer`; a value is read as TOML where it is any, else as text.

    Raises RecipeError, with the nearest spelling for an unknown key.
    """
    wishes: dict[str, Any] = {}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark:
            raise RecipeError(f"--trainer {pair}: give it as KEY=VALUE")
        try:
            wishes[key] = tomllib.loads(f"value = {value}")["value"]
        except ValueError:
            wishes[key] = value
    check_wishes(wishes)
    return wishes


def check_wishes(wishes: Mapping[str, Any]) -> None:
    """Raises RecipeError where `lightning.Trainer` has no such argument, or it is not the caller's to give."""
    known = [name for name in inspect.signature(lightning.Trainer.__init__).parameters if name != "self"]
    for key in wishes:
        if key not in known:
            raise RecipeError(f"lightning.Trainer has no argument {key!r}; {suggest(key, known)}")
        if key in _OWN:
            raise RecipeError(f"{key} is not for --trainer: {_OWN[key]}")


def make_trainer(recipe: Recipe, run: Path, wishes: Mapping[str, Any]) -> lightning.Trainer:
    """The trainer of a run in this folder. Raises RecipeError where the machine lacks what is asked for."""
    check_wishes(wishes)
    callbacks: list[Callback] = [ModelCheckpoint(run, filename="last", enable_version_counter=False)]
    if recipe.patience:
        best = ModelCheckpoint(run, "best", monitor="validation_loss", enable_version_counter=False)
        callbacks += [best, EarlyStopping("validation_loss", patience=recipe.patience)]
    if sys.stderr.isatty():
        callbacks.append(TQDMProgressBar(refresh_rate=10))
    options: dict[str, Any] = {
        "max_epochs": recipe.epochs,
        "accumulate_grad_batches": recipe.accumulate,
        "devices": 1,
        "precision": recipe.precision,
        "logger": [CSVLogger(run, name="log"), TensorBoardLogger(run / "log", name="tensorboard")],
        "callbacks": callbacks,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "enable_progress_bar": sys.stderr.isatty(),
        "log_every_n_steps": _LOG_STEPS,
        "use_distributed_sampler": False,
    }
    try:
        return lightning.Trainer(**options | dict(wishes))
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        asked = " ".join(f"{key}={value}" for key, value in wishes.items()) or "its recipe"
        raise RecipeError(f"this machine cannot train as {asked} says ({error})") from None


@contextmanager
def explain_errors(recipe: Recipe, run: Path) -> Iterator[None]:
    """Turns what ends a run into one line of advice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL:
                raise _full(run) from None
            raise
        half = max(1, recipe.batch // 2)
        raise RecipeError(
            f"out of memory: in the recipe, set batch = {half} and accumulate = {recipe.accumulate * 2}, for nearly "
            f"the same steps, and remove {run}"
        ) from None
    except MisconfigurationException as error:
        raise RecipeError(f"this machine cannot train so ({error})") from None
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _full(run) from None


def _full(run: Path) -> RecipeError:
    return RecipeError(f"the disk is full: make room and give the command again, which goes on from {run}")


def _is_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "out of memory" in text or "can't allocate memory" in text or "defaultcpuallocator" in text
    )
