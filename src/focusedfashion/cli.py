"""The command line: each verb parses, calls one library function and prints.

With --json, stdout gets exactly one JSON document; messages and progress always go to stderr. Exit codes: 0 done (also
when some rows failed: they are counted), 1 nothing could be done, 2 wrong arguments, 130 stopped by Ctrl-C, 143 by
SIGTERM.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import focusedfashion as ff
from focusedfashion import settings
from focusedfashion.errors import FashionError, QueryError
from focusedfashion.focus import parse_focus

if TYPE_CHECKING:
    from focusedfashion.evaluation import Evaluation, Part
    from focusedfashion.indexing import IndexReport
    from focusedfashion.items import Item, Matches

_DEMO_HELP = "where its files go, and are found again (default: %(default)s)"
_SOURCE_HELP = "a folder, a table or KIND:LOCATION (see the guide)"
_TEXT_HELP = 'look for words instead, as "navy checked shirt", where the encoder has a text side'
_PRIVATE_HELP = "let URLs lead to this machine and into private networks"
_LABEL_HELP = "a column that holds labels (default: columns whose values repeat)"
_DATA_HELP = "the directory that the recipe's files lie in, or the source to train on where it names none"
_WEIGHTS_HELP = "weights to start from, or none for a random start (default: the hub of its library)"
_COMPARED_HELP = "a recipe (a TOML file, or one that ships), builtin, or a saved encoder's folder"
_COMPARE_WEIGHTS_HELP = "weights to start from, none (a random start), or RECIPE=FILE for one recipe (default: the hub)"
_NETWORK_HELP = "a trained encoder's folder, a recipe, timm:NAME or torchvision:NAME"
_TRAINER_HELP = "an argument of lightning.Trainer, as devices=2 or accelerator=gpu"
_REPORT_HELP = "the page (default: report.html; with --json none)"
_ORIGIN_HELP = "let pages of this site ask, as https://shop.example; may be given several times"
_ENCODER_HELP = "builtin, a saved encoder's folder, hf:ORG/NAME or timm:NAME"
_ENCODERS_HELP = f"{_ENCODER_HELP}; give it again for each further one (default: builtin)"
_CLUSTERS_HELP = "how many clusters (default: %(default)s)"
_TAKE_HELP = "cluster at most N pictures, an even sample (default: %(default)s)"
_CLUSTER_PAGE_HELP = "the page (default: clusters.html; with --json none)"
_OPEN_HELP = "open at most N pictures, an even sample; 0 opens none (default: %(default)s)"
_QUERIES_HELP = _SOURCE_HELP + " (default: the catalog's own pictures, as they are and changed)"
_KS_HELP = "how many products of an answer count (default: 1,5,10)"
_SAMPLE_HELP = f"ask with N queries at most, an even sample (default: all, or {settings.EVALUATION_ITEMS:,} of its own)"
_PROGRESS_SECONDS = 15.0  # between two lines of progress where stderr is no terminal


def main(argv: list[str] | None = None) -> int:
    """Runs one verb; the exit code."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.run is run_search and [args.image, args.like, args.text].count(None) != 2:
        parser.error("search needs one of IMAGE, --like ITEM_ID and --text WORDS")
    if args.run is run_features and bool(args.layer) != bool(args.output):
        parser.error("features takes --layer and -o together")
    if args.run is run_demo and args.photos and args.source:
        parser.error("demo takes either a SOURCE or --photos")
    if args.run is run_keys and (args.name is None) != (args.action == "list"):
        parser.error("keys takes a NAME for add and remove, and none for list")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a title must not end the program on a terminal without its letters
    logging.basicConfig(format="focusedfashion: %(message)s")  # a writer that waits for another says so
    stopped: list[int] = []
    try:
        with _stop_on_signals(stopped):
            code: int = args.run(args)
        sys.stdout.flush()
        return code
    except FashionError as error:
        _tell(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _tell("stopped; what was finished is kept")
        return 128 + (stopped[0] if stopped else signal.SIGINT)
    except MemoryError:
        _tell("error: out of memory; what was finished is kept: close other programs and give the command again")
        return 1
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; without this, Python complains once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a folder that may not be read, a full disk
        _tell(f"error: {error}")
        return 1


@contextmanager
def _stop_on_signals(stopped: list[int]) -> Iterator[None]:
    """Ctrl-C and SIGTERM both raise KeyboardInterrupt, and `stopped` gets the signal; a second one ends at once."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():  # in others Python lets nobody have signals
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # What a shell told a job of its own to ignore stays so.
        before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}

    def stop(number: int, frame: object) -> None:
        stopped.append(number)
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        if sys.stderr.isatty():
            print("\033[?25h", end="", file=sys.stderr, flush=True)  # the progress has hidden the cursor
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Parser(argparse.ArgumentParser):
    """Takes options between the arguments, as `search shop -k 3 photo.jpg`: argparse alone would lose the photo."""

    _intermixed = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._intermixed:
            return super().parse_known_args(args, namespace)
        self._intermixed = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixed = False


class _HelpFormatter(argparse.HelpFormatter):
    """The same help on every Python: `-o, --output DIR`."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        value = "" if action.nargs == 0 else f" {self._format_args(action, action.dest.upper())}"
        return ", ".join(action.option_strings) + value


def make_parser() -> argparse.ArgumentParser:
    """The parser of all verbs; `args.run` is the verb's function."""
    parser = argparse.ArgumentParser(
        prog="focusedfashion", description="Finds clothes by looking at them.", formatter_class=_HelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"focusedfashion {ff.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=_Parser)

    def add_verb(
        name: str, run: Callable[[argparse.Namespace], int], text: str, json: bool = True
    ) -> argparse.ArgumentParser:
        description = text[0].upper() + text[1:] + "."
        verb = verbs.add_parser(name, help=text, description=description, formatter_class=_HelpFormatter)
        verb.set_defaults(run=run)
        if json:
            verb.add_argument("--json", action="store_true", help="print one JSON document")
        return verb

    def add_address(verb: argparse.ArgumentParser) -> None:
        verb.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
        verb.add_argument("--port", type=int, default=settings.PORT, help="0 takes a free one (default: %(default)s)")

    verb = add_verb("index", run_index, "bring the items of sources into a catalog, which is made if need be")
    verb.add_argument("catalog", metavar="CATALOG", help="the catalog's folder")
    verb.add_argument("sources", metavar="SOURCE", nargs="+", help=_SOURCE_HELP)
    verb.add_argument("--encoder", metavar="E", help=f"{_ENCODER_HELP} (default: the catalog's)")
    verb.add_argument("--id-column", metavar="C", help="the column of a table that has the ids")
    verb.add_argument("--retry-failed", action="store_true", help="take only the items that failed before")
    verb.add_argument("--sync", action="store_true", help="remove the items that the sources do not name any more")
    verb.add_argument("--allow-private", action="store_true", help=_PRIVATE_HELP)

    verb = add_verb("search", run_search, "find the items that look most like a picture, or fit words best")
    verb.add_argument("catalog", metavar="CATALOG")
    verb.add_argument("image", metavar="IMAGE", nargs="?", help="the picture to look for")
    verb.add_argument("--like", metavar="ITEM_ID", help="look for an item of the catalog instead")
    verb.add_argument("--text", metavar="WORDS", help=_TEXT_HELP)
    verb.add_argument("-k", type=_parse_k, default=settings.DEFAULT_K, help="how many products (default: %(default)s)")
    verb.add_argument("--where", metavar="SQL", help='only items for which this holds, as "price < 50"')
    verb.add_argument("--focus", metavar="F", type=_parse_focus, help="weights of blocks, as color=2,shape=1,pattern=0")

    verb = add_verb("tag", run_tag, "say what is on pictures")
    verb.add_argument("images", metavar="IMAGE", nargs="+")
    verb.add_argument("--encoder", metavar="E", default="builtin", help=_ENCODER_HELP)

    verb = add_verb("info", run_info, "say what a catalog holds")
    verb.add_argument("catalog", metavar="CATALOG")

    verb = add_verb("remove", run_remove, "take items out of a catalog")
    verb.add_argument("catalog", metavar="CATALOG")
    verb.add_argument("item_ids", metavar="ITEM_ID", nargs="+")

    verb = add_verb("failures", run_failures, "list the items that did not get into a catalog, and why")
    verb.add_argument("catalog", metavar="CATALOG")

    verb = add_verb("evaluate", run_evaluate, "measure how well a catalog answers, by labelled queries or by itself")
    verb.add_argument("catalog", metavar="CATALOG")
    verb.add_argument("queries", metavar="QUERIES", nargs="?", help=_QUERIES_HELP)
    verb.add_argument("--label", metavar="COLUMN", action="append", default=[], help=_LABEL_HELP)
    verb.add_argument("-k", metavar="K,K", type=_parse_ks, default=settings.EVALUATION_KS, help=_KS_HELP)
    verb.add_argument("--slice", metavar="COLUMN", help="figures for each value of this column of the queries too")
    verb.add_argument("--sample", metavar="N", type=_parse_size, help=_SAMPLE_HELP)
    verb.add_argument("--vectors", metavar="FILE", type=Path, help="an .npz of all that the figures are computed from")
    verb.add_argument("--allow-private", action="store_true", help=_PRIVATE_HELP)

    verb = add_verb("report", run_report, "write one page about what is in a source or a catalog, and what harms it")
    verb.add_argument("source", metavar="SOURCE_OR_CATALOG", help=_SOURCE_HELP + ", or a catalog")
    verb.add_argument("-o", "--output", metavar="FILE", type=Path, help=_REPORT_HELP)
    verb.add_argument("--label", metavar="COLUMN", action="append", default=[], help=_LABEL_HELP)
    verb.add_argument("--pictures", metavar="N", type=_parse_count, default=settings.REPORT_PICTURES, help=_OPEN_HELP)

    verb = add_verb("cluster", run_cluster, "cluster the pictures of sources by what one or more encoders see in them")
    verb.add_argument("sources", metavar="SOURCE", nargs="+", help=_SOURCE_HELP)
    verb.add_argument("--encoder", metavar="E", action="append", default=[], help=_ENCODERS_HELP)
    verb.add_argument("-n", metavar="N", type=_parse_count, default=settings.CLUSTERS, help=_CLUSTERS_HELP)
    verb.add_argument("--label", metavar="COLUMN", action="append", default=[], help=_LABEL_HELP)
    verb.add_argument("--pictures", metavar="N", type=_parse_count, default=settings.CLUSTER_PICTURES, help=_TAKE_HELP)
    verb.add_argument("--seed", metavar="N", type=_parse_count, default=0, help="of the starts (default: %(default)s)")
    verb.add_argument("-o", "--output", metavar="FILE", type=Path, help=_CLUSTER_PAGE_HELP)

    verb = add_verb("train", run_train, "train an encoder by a recipe; a stopped run goes on where it was")
    verb.add_argument("recipe", metavar="RECIPE", help="a TOML file, or a recipe that ships (see the guide)")
    verb.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the folder of the saved encoder")
    verb.add_argument("--data", metavar="DIR_OR_SOURCE", help=_DATA_HELP)
    verb.add_argument("--label", metavar="COLUMN", action="append", default=[], help=_LABEL_HELP)
    verb.add_argument("--weights", metavar="FILE", help=_WEIGHTS_HELP)
    verb.add_argument("--trainer", metavar="KEY=VALUE", action="append", default=[], help=_TRAINER_HELP)

    verb = add_verb("compare", run_compare, "train recipes, and compare them and encoders on one source")
    verb.add_argument("names", metavar="RECIPE_OR_ENCODER", nargs="+", help=_COMPARED_HELP)
    verb.add_argument("--data", metavar="SOURCE", required=True, help=_SOURCE_HELP)
    verb.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the study's folder")
    verb.add_argument("--label", metavar="COLUMN", action="append", default=[], help=_LABEL_HELP)
    verb.add_argument("--queries", metavar="SOURCE", help="photos to recommend for (default: some test rows)")
    verb.add_argument("-k", type=_parse_k, default=settings.DEFAULT_K, help="how many neighbors (default: %(default)s)")
    verb.add_argument("--gallery", metavar="N", type=_parse_positive, help="search N rows at most (default: all)")
    verb.add_argument("--weights", metavar="FILE", action="append", default=[], help=_COMPARE_WEIGHTS_HELP)
    verb.add_argument("--trainer", metavar="KEY=VALUE", action="append", default=[], help=_TRAINER_HELP)

    verb = add_verb("features", run_features, "list a network's layers, or save one of them as an encoder")
    verb.add_argument("network", metavar="NETWORK", help=_NETWORK_HELP)
    verb.add_argument("--layer", metavar="L", help="the layer whose output is the embedding (default: list them)")
    verb.add_argument("-o", "--output", metavar="DIR", type=Path, help="the folder of the saved encoder")
    verb.add_argument("--weights", metavar="FILE", help=_WEIGHTS_HELP)

    verb = add_verb("serve", run_serve, "serve a catalog as a page and an HTTP API", json=False)
    verb.add_argument("catalog", metavar="CATALOG")
    add_address(verb)
    verb.add_argument("--open", action="store_true", dest="is_open", help="let everybody read, without a key")
    verb.add_argument(
        "--allow-origin", metavar="URL", action="append", default=[], type=_parse_origin, help=_ORIGIN_HELP
    )

    verb = add_verb("keys", run_keys, "make, list and take back keys, by which others may use a served catalog")
    verb.add_argument("catalog", metavar="CATALOG")
    verb.add_argument("action", choices=("add", "list", "remove"))
    verb.add_argument("name", metavar="NAME", nargs="?", help="whose key it is")
    verb.add_argument("--write", action="store_true", help="with add: the key may also change the catalog")

    verb = add_verb("demo", run_demo, "index drawn garments, or a source of your own, and serve them", json=False)
    verb.add_argument("source", metavar="SOURCE", nargs="?", help=_SOURCE_HELP + " (default: drawn garments)")
    verb.add_argument("--photos", action="store_true", help="fetch 5,000 photos of people's clothes instead (CC0)")
    verb.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("focusedfashion-demo"), help=_DEMO_HELP)
    add_address(verb)
    return parser


def run_report(args: argparse.Namespace) -> int:
    from focusedfashion.report import make_report, write_report

    try:
        ff.Catalog(args.source).info()
        is_catalog = True
    except ff.CatalogError:
        is_catalog = False
    entries: Iterator[Item | ff.Failure]
    if is_catalog:
        catalog = ff.Catalog(args.source)
        entries = chain(catalog.items(), catalog.failures())
    else:
        entries = ff.read_source(args.source)
    name = Path(args.source.rstrip("/")).name or args.source
    report = make_report(entries, name, labels=args.label, pictures=args.pictures, thumbnails=is_catalog)
    output = args.output or (None if args.json else Path("report.html"))
    if output:
        write_report(report, output)
    if args.json:
        _print_json(report.to_dict())
        return 0
    for finding in report.findings[:5]:
        print(f"{finding.level:5} {_plain(finding.text)}")
    print(f"{report.items:,} items, {len(report.findings):,} findings: {output}")
    return 0


def run_evaluate(args: argparse.Namespace) -> int:
    from focusedfashion.evaluation import evaluate

    with _show_progress() as show:
        evaluation = evaluate(
            ff.Catalog(args.catalog),
            ff.read_source(args.queries, allow_private=args.allow_private) if args.queries else None,
            args.label or None,
            args.k,
            args.slice,
            sample=args.sample,
            allow_private=args.allow_private,
            on_progress=lambda done: show(f"{done:,} pictures"),
        )
    for failure in evaluation.failures[:3]:
        _tell(f"{_plain(failure.item_id)}: {_plain(failure.reason)}")
    if args.json:
        _print_json(evaluation.to_dict())
    else:
        _print_evaluation(evaluation)
    if args.vectors:
        evaluation.save_vectors(args.vectors)
    return 0


def run_index(args: argparse.Namespace) -> int:
    catalog = ff.Catalog(args.catalog, encoder=args.encoder)
    sources = [
        ff.read_source(source, id_column=args.id_column, allow_private=args.allow_private) for source in args.sources
    ]
    with _show_progress() as show:
        # As one source: an id that comes in two of them is a double id, not a change.
        report = catalog.index(
            chain(*sources),
            retry_failed=args.retry_failed,
            sync=args.sync,
            allow_private=args.allow_private,
            on_progress=lambda report: show(_describe_pace(report)),
        )
    if args.json:
        _print_json(asdict(report))
    else:
        print(_describe(report, args.catalog))
    return 1 if report.failed and not report.added + report.updated + report.unchanged else 0


def run_search(args: argparse.Namespace) -> int:
    catalog = ff.Catalog(args.catalog)
    if args.like is not None:
        matches = catalog.similar(args.like, args.k, args.where, args.focus)
    elif args.text is not None:
        matches = catalog.search_text(args.text, args.k, args.where, args.focus)
    else:
        matches = catalog.search(args.image, args.k, args.where, args.focus)
    if args.json:
        _print_json({"matches": [match.to_dict() for match in matches]})
    elif matches:
        _print_matches(matches)
    else:
        print("no match" + (" under this filter" if args.where else ""))
    return 0


def run_tag(args: argparse.Namespace) -> int:
    from focusedfashion.items import labels_to_dict

    encoder = ff.load_encoder(args.encoder)
    found = []
    for image in args.images:
        try:
            found.append((image, encoder.tag([image])[0]))
        except (ff.PictureError, ff.MissingExtra) as error:
            _tell(f"error: {error}")
    if args.json:
        _print_json([{"image": image, "attributes": labels_to_dict(groups)} for image, groups in found])
        return 0 if found else 1
    for image, groups in found:
        print(_plain(image))
        for group, labels in groups.items():
            print(f"  {group:12} {', '.join(f'{label.label} {label.score:.2f}' for label in labels) or '-'}")
    return 0 if found else 1


def run_info(args: argparse.Namespace) -> int:
    info = asdict(ff.Catalog(args.catalog).info())
    if args.json:
        _print_json(info)
        return 0
    for name, value in info.items():
        print(f"{name:12} {f'{value:,}' if isinstance(value, int) else value}")
    return 0


def run_remove(args: argparse.Namespace) -> int:
    removed = ff.Catalog(args.catalog).remove(args.item_ids)
    if args.json:
        _print_json({"removed": removed})
    else:
        missing = len(set(args.item_ids)) - removed
        print(f"{removed:,} removed" + (f", {missing:,} not there" if missing else ""))
    return 0 if removed else 1


def run_failures(args: argparse.Namespace) -> int:
    failures = ff.Catalog(args.catalog).failures()
    if args.json:
        _print_json([asdict(failure) for failure in failures])
        return 0
    for failure in failures:
        tries = f", {failure.tries} tries" if failure.tries > 1 else ""
        print(f"{_plain(failure.item_id)}: {_plain(failure.reason)} ({failure.step}{tries})")
    if not failures:
        print("no failures")
    return 0


def run_cluster(args: argparse.Namespace) -> int:
    from focusedfashion.study.cluster_page import describe_result, write_clusters
    from focusedfashion.study.clusters import cluster_sources

    with _show_progress() as show:
        clustering = cluster_sources(
            args.sources,
            [ff.load_encoder(name) for name in args.encoder or ["builtin"]],
            clusters=args.n,
            labels=args.label,
            pictures=args.pictures,
            seed=args.seed,
            on_progress=lambda done, total: show(f"{done:,} of {total:,} pictures encoded"),
        )
    output = args.output or (None if args.json else Path("clusters.html"))
    if output:
        write_clusters(clustering, output)
    if args.json:
        _print_json(clustering.to_dict())
        return 0
    for column in clustering.labelled:
        print(_plain(describe_result(clustering, column)))
    failed = f", {clustering.failed:,} rows failed" if clustering.failed else ""
    print(f"{len(clustering.item_ids):,} pictures in {len(clustering.clusters):,} clusters{failed}: {output}")
    return 0


def run_train(args: argparse.Namespace) -> int:
    from focusedfashion.training.recipe import find_recipe
    from focusedfashion.training.run import train
    from focusedfashion.training.trainer import parse_wishes

    logging.getLogger("focusedfashion").setLevel(logging.INFO)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # tips and lists of devices
    wishes = parse_wishes(args.trainer)
    recipe = find_recipe(args.recipe)
    train(recipe, args.output, args.data, args.weights, labels=args.label, trainer=wishes)
    if not args.output.is_dir():
        return 0  # one of several processes, and not the one that saves
    encoder = ff.load_encoder(args.output)
    if args.json:
        _print_json({"encoder": str(args.output), "metrics": encoder.spec["metrics"]})
        return 0
    for name, value in encoder.spec["metrics"].items():
        print(f"{name:20} {value['value']:.3f} of {value['rows']:,} rows" if isinstance(value, dict) else value)
    print(f"use it: focusedfashion index CATALOG SOURCE --encoder {shlex.quote(str(args.output))}")
    return 0


def run_compare(args: argparse.Namespace) -> int:
    from focusedfashion.study.run import compare
    from focusedfashion.study.words import list_findings

    wishes: dict[str, Any] = {}
    if args.trainer:
        from focusedfashion.training.trainer import parse_wishes

        wishes = dict(parse_wishes(args.trainer))
    logging.getLogger("focusedfashion").setLevel(logging.INFO)
    study = compare(
        args.names,
        args.data,
        args.output,
        labels=args.label,
        queries=args.queries,
        k=args.k,
        gallery=args.gallery,
        weights=args.weights,
        trainer=wishes,
    )
    if args.json:
        _print_json(study.to_dict())
        return 0
    for sentence in list_findings(study):
        print(_plain(sentence))
    print(f"{len(study.encoders):,} encoders, {len(study.failed):,} failed: {args.output / 'study.html'}")
    return 0


def run_features(args: argparse.Namespace) -> int:
    from focusedfashion.training.features import list_layers, save_features

    logging.getLogger("focusedfashion").setLevel(logging.INFO)
    if args.layer:
        layer = save_features(args.network, args.layer, args.output, args.weights)
        if args.json:
            _print_json({"encoder": str(args.output)} | asdict(layer))
        else:
            print(f"use it: focusedfashion index CATALOG SOURCE --encoder {shlex.quote(str(args.output))}")
        return 0
    layers = list_layers(args.network)
    if args.json:
        _print_json([asdict(layer) for layer in layers])
        return 0
    for layer in layers:
        print(f"{layer.name:40} {' x '.join(map(str, layer.shape)):20} {layer.dim:,} numbers")
    return 0


def run_serve(args: argparse.Namespace) -> int:
    from focusedfashion.server.app import serve

    serve(ff.Catalog(args.catalog), args.host, args.port, is_open=args.is_open, origins=args.allow_origin)
    return 0


def run_keys(args: argparse.Namespace) -> int:
    from focusedfashion.server.keys import Keys

    keys = Keys(args.catalog)
    if args.action == "list":
        found = [{"name": key.name, "write": key.write, "added_at": key.added_at} for key in keys.list()]
        if args.json:
            _print_json(found)
            return 0
        for key in found:
            may = "reads and writes" if key["write"] else "reads"
            print(f"{key['name']:24} {may:16} since {key['added_at']:%Y-%m-%d}")
        if not found:
            print("no keys")
        return 0
    if args.action == "remove":
        keys.remove(args.name)
        print(json.dumps({"removed": args.name}) if args.json else f"{args.name} removed")
        return 0
    token = keys.add(args.name, args.write)
    if args.json:
        _print_json({"name": args.name, "write": args.write, "key": token})
        return 0
    print(token)
    _tell("this is the only time that it is shown; send it as `Authorization: Bearer KEY`")
    return 0


def run_demo(args: argparse.Namespace) -> int:
    from focusedfashion.demo import fetch_photos, make_demo
    from focusedfashion.server.app import serve

    source = f"clothing-dataset:{fetch_photos(args.output, _tell)}" if args.photos else args.source
    demo = make_demo(args.output, source, tell=_tell)
    catalog = shlex.quote(demo.catalog.path)
    print(f"{_describe(demo.report, demo.catalog.path)} in {demo.report.seconds:.0f} s: the catalog is {catalog}")
    if not demo.catalog.info().items:
        return 1
    print("try in another terminal" + (", or drop one of these photos on the page:" if demo.photos else ":"))
    for photo in demo.photos[:3]:
        print(f"  {_own_name()} search {catalog} {shlex.quote(str(photo))}")
    print(f"  {_own_name()} info {catalog}")
    serve(demo.catalog, args.host, args.port)
    return 0


# Arguments


def _parse_k(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= settings.MAX_K:
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {settings.MAX_K}, not {text!r}")
    return int(text)


def _parse_origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/") or "*" in text:
        raise argparse.ArgumentTypeError(f"a site as https://shop.example, not {text!r}")
    return f"{parts.scheme}://{parts.netloc}"


def _parse_ks(text: str) -> list[int]:
    return [_parse_k(part.strip()) for part in text.split(",")]


def _parse_positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)


def _parse_count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number from 0 on, not {text!r}")
    return int(text)


def _parse_size(text: str) -> int:
    if not _parse_count(text):
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)


def _parse_focus(text: str) -> dict[str, float]:
    try:
        return parse_focus(text)
    except QueryError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


# Printing


def _own_name() -> str:
    """The command as this person can type it: the environment that it lies in may not be activated."""
    if shutil.which("focusedfashion"):
        return "focusedfashion"
    script = Path(sys.argv[0])
    if script.name == "focusedfashion":
        return shlex.quote(os.path.relpath(script))
    return f"{shlex.quote(sys.executable)} -m focusedfashion"


def _tell(message: str) -> None:
    print(f"focusedfashion: {message}", file=sys.stderr)


def _print_json(document: Any) -> None:
    print(json.dumps(document, default=str))  # the source's own columns may have times


def _plain(text: str) -> str:
    """Text of a stranger's feed without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def _describe(report: IndexReport, catalog: str) -> str:
    counts = {"added": report.added, "updated": report.updated, "unchanged": report.unchanged, "failed": report.failed}
    counts["removed"] = report.removed
    text = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    hint = f" (focusedfashion failures {shlex.quote(catalog)})" if report.failed else ""
    return (text or "nothing to index") + hint


@contextmanager
def _show_progress() -> Iterator[Callable[[str], None]]:
    """Says how far the work is: a line that renews itself where stderr is a terminal, else a line now and then."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("reading") as status:
            yield status.update
        return
    last = time.monotonic()

    def show(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_SECONDS:
            last = time.monotonic()
            _tell(text)

    yield show


def _describe_pace(report: IndexReport) -> str:
    done = report.added + report.updated + report.unchanged + report.failed
    return f"{done:,} done, {report.failed:,} failed, {done / max(report.seconds, 1e-3):,.0f} a second"


def _print_evaluation(evaluation: Evaluation) -> None:
    print(
        f"{evaluation.whole.queries:,} queries, {len(evaluation.failures):,} failed; {evaluation.items:,} items, "
        f"{evaluation.products:,} products; in brackets 95 % intervals\n"
    )
    _print_figures(evaluation.whole)
    for value, part in evaluation.slices.items():
        print(f"\n{_plain(str(evaluation.slice_by))}: {_plain(value)}, {part.queries:,} queries\n")
        _print_figures(part)
    if evaluation.small_slices:
        print(f"\n{evaluation.small_slices:,} values of fewer than {settings.RARE_LABEL} queries are left out")


def _print_figures(part: Part) -> None:
    """A line for each question and measure, with one figure for each k."""
    named = list(part.columns.items())
    if part.same_item:
        named.append(("same product", part.same_item))
    named += [(f"after {name}", scores) for name, scores in part.changes.items()]
    lines: list[tuple[str, str, list[str]]] = []
    ks = dict.fromkeys(name.partition("@")[2] for _, scores in named for name in scores.figures)
    for name, scores in named:
        for measure in dict.fromkeys(figure.partition("@")[0] for figure in scores.figures):
            figures = [scores.figures[f"{measure}@{k}"] for k in ks]
            cells = [f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]" for figure in figures]
            if measure == "precision" and scores.chance is not None:
                cells.append(f"by chance {scores.chance:.3f}")
            lines.append((_plain(f"{name} {measure}"), f"{scores.queries:,}", cells))
        if scores.unmatched or not scores.figures:
            lines.append((_plain(f"{name} unmatched"), f"{scores.unmatched:,}", []))
    width = max(len(name) for name, _, _ in lines)
    print(f"{'':{width}}  queries  " + "  ".join(f"{f'@{k}':20}" for k in ks).rstrip())
    for name, queries, cells in lines:
        print(f"{name:{width}}  {queries:>7}  {'  '.join(cells)}".rstrip())


def _print_matches(matches: Matches) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("", "score", *matches[0].blocks):
        table.add_column(name, justify="right", no_wrap=True, min_width=max(len(name), 5 if name else 1))
    titles = any(match.item.title for match in matches)
    for name in ("item", "title", "labels") if titles else ("item", "labels"):
        table.add_column(name, overflow="fold")  # an id is shown whole, to be copied
    for match in matches:
        cosines = [f"{cosine:.2f}" for cosine in match.blocks.values()]
        texts = [match.item.item_id, *([(match.item.title or "")[:40]] if titles else []), _list_labels(match.item)]
        # Text and not str: square brackets in a title are no markup.
        table.add_row(str(match.rank), f"{match.score:.3f}", *cosines, *(Text(_plain(text)) for text in texts))
    Console().print(table)


def _list_labels(item: Item) -> str:
    groups = (item.attributes.get("category"), item.attributes.get("color"))
    return ", ".join(labels[0].label for labels in groups if labels)
