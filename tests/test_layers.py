"""Who may import whom: imports point one way, and the package's face costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import focusedfashion

PACKAGE = Path(focusedfashion.__file__).parent

# From the top down; a module imports only what stands above it, and those of one line know nothing of each other.
ORDER = [
    {"errors", "settings", "items"},
    {"focus", "images"},
    {"colors"},
    {"fetch"},
    {"sources"},
    {"encoders"},
    {"rows"},
    {"filters"},
    {"trouble"},
    {"lock"},
    {"store"},
    {"indexing"},
    {"facets", "explain"},
    {"search"},
    {"recommend"},
    {"catalog"},
    {"demo"},
    {"metrics", "columns", "changes", "ranking"},
    {"labels", "queries"},
    {"questions"},
    {"evaluation"},
    {"report"},
    {"server"},
    {"training"},
    {"study"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}

# (importer, imported) that the order would allow.
FORBIDDEN = {
    ("images", "items"),  # pictures know no items
    ("sources", "images"),  # sources decode nothing
    ("rows", "images"),
    ("store", "images"),
    ("search", "images"),
    ("search", "encoders"),  # a query is a vector
    ("training", "catalog"),
    ("training", "store"),
    ("report", "training"),
}

# Packages of others that only these parts of ours may load.
AT_HOME = {
    "lance": {"store", "lock"},
    "lancedb": set(),
    "filelock": {"lock", "encoders"},
    "onnxruntime": {"encoders", "training"},
    "torch": {"training", "encoders"},
    "torchvision": {"training", "encoders"},
    "transformers": {"encoders"},
    "open_clip": {"encoders"},
    "huggingface_hub": {"encoders"},
    "tokenizers": {"encoders"},
    "onnx": {"encoders"},
    "lightning": {"training"},
    "timm": {"training", "encoders"},
    "fastapi": {"server"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "pydantic": {"server"},
    "prometheus_client": {"server"},
    "selectolax": {"sources"},
    "protego": {"sources"},
    "urllib3": {"fetch"},
    "sklearn": {"study"},
    "rich": {"cli", "report", "training"},
}


def list_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def read_part(path: Path) -> str:
    """store.py -> store, encoders/encoder.py -> encoders."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def read_imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, inside functions and `if TYPE_CHECKING` too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(PACKAGE)}:{node.lineno}: a relative import"
            assert node.module is not None
            if node.module == "focusedfashion":  # from focusedfashion import settings
                yield from ((node.lineno, f"focusedfashion.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module


def test_imports_point_upwards() -> None:
    wrong = []
    for path in list_files():
        part = read_part(path)
        if part == "__init__":
            continue  # the face: names of everything, loaded when used
        for line, name in read_imports(path):
            here = f"{path.relative_to(PACKAGE)}:{line}"
            if part not in LEVEL:
                wrong.append(f"{here}: {part} has no place in ORDER yet")
            elif name == "focusedfashion":
                if part not in ("cli", "__main__"):
                    wrong.append(f"{here}: imports the package's face; import the module that has the name")
            elif name.startswith("focusedfashion."):
                imported = name.split(".")[1]
                if imported == part:
                    continue
                if imported not in LEVEL:
                    wrong.append(f"{here}: {imported} has no place in ORDER yet")
                elif LEVEL[imported] >= LEVEL[part] or (part, imported) in FORBIDDEN:
                    wrong.append(f"{here}: {part} must not import {imported}")
            elif part not in AT_HOME.get(name.split(".")[0], {part}):
                wrong.append(f"{here}: {part} must not import {name}")
    assert not wrong, "\n".join(wrong)


# Packages of extras, which encoders convert a hub's networks with: to look with a converted one needs none of them.
CONVERTING = ("torch", "torchvision", "transformers", "open_clip", "timm", "onnx", "huggingface_hub", "tokenizers")


def test_converting_is_imported_in_functions_only() -> None:
    for path in (PACKAGE / "encoders").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong = {name.split(".")[0] for name in names} & {*CONVERTING, "filelock", "onnxruntime"}
            assert not wrong, f"{path.name}:{node.lineno}: {wrong} belongs into the function that needs it"


HEAVY = ("torch", "onnxruntime", "lance", "pyarrow", "fastapi", "starlette", "numpy", "PIL", "rich", "filelock")


@pytest.mark.parametrize(
    "script",
    [
        "import focusedfashion",
        "import focusedfashion; dir(focusedfashion); focusedfashion.FashionError; focusedfashion.Item",
        "from focusedfashion.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from focusedfashion.cli import main\ntry: main(['search', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_the_face_loads_nothing_heavy(script: str) -> None:
    script += f"\nimport sys; print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_a_catalog_needs_neither_torch_nor_a_web_framework() -> None:
    script = "import focusedfashion, sys; focusedfashion.Catalog; focusedfashion.read_source; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "fastapi", "starlette", "onnxruntime"} & set(done.stdout.split())


def test_all_is_what_is_exported() -> None:
    assert len(focusedfashion.__all__) == len(set(focusedfashion.__all__))
    assert set(focusedfashion.__all__) == set(focusedfashion._HOME) | {"__version__"}
    assert dir(focusedfashion) == sorted(focusedfashion.__all__)
    for name in focusedfashion.__all__:
        assert getattr(focusedfashion, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Katalog'"):
        _ = focusedfashion.Katalog


def test_every_error_is_exported() -> None:
    from focusedfashion import errors

    names = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert names <= set(focusedfashion.__all__)
