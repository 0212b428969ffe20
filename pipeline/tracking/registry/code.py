"""The source code that a registered model carries: its network, and every module of ours that this needs.

The copies lie in one package, each under its own dotted name: `raygan.pipeline.models.layers` becomes
`PACKAGE.raygan.pipeline.models.layers`, and the imports between them are rewritten to match.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from raygan.sharding.errors import RunError

Import = ast.Import | ast.ImportFrom


def write_package(folder: Path, modules: Sequence[str]) -> Path:
    """Copies `modules` and all that they import, directly or not, of raygan and of their own top-level packages.

    Returns the package's folder, a new one in `folder`. Its name holds the digest of the code, so that models with
    different code can be loaded into one process. Raises RunError for a module without a source file.
    """
    ours = {"raygan", *(module.partition(".")[0] for module in modules)}
    sources = _sources(modules, ours)
    digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
    package = folder / f"raygan_faces_{digest[:8]}"
    for module, source in sources.items():
        path = package.joinpath(*module.split("."))
        path = path / "__init__.py" if _is_package(module) else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_rewritten(source, module, ours, package.name))
    for parent in {parent for path in package.rglob("*.py") for parent in path.relative_to(package).parents}:
        (package / parent / "__init__.py").touch()  # packages of which only a submodule is needed
    return package


def _sources(modules: Sequence[str], ours: set[str]) -> dict[str, str]:
    """The source of `modules` and of what they import of `ours`, by module."""
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        if (module := waiting.pop()) in found:
            continue
        found[module] = _source(module)
        for statement in _imports(found[module], module, ours):
            waiting += [name for name in _modules(statement) if _top(name) in ours]
    return found


def _source(module: str) -> str:
    file = getattr(importlib.import_module(module), "__file__", None)
    if file is None or not file.endswith(".py"):
        raise RunError(f"{module}: it has no source file, so a registered model cannot carry it")
    return Path(file).read_text()


def _imports(source: str, module: str, ours: set[str]) -> Iterator[Import]:
    """The import statements of `ours` that may run, in order, relative ones made absolute."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            if any(_top(alias.name) in ours for alias in node.names):
                yield node
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                package = module if _is_package(module) else module.rpartition(".")[0]
                node.module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                node.level = 0
            if _top(node.module or "") in ours:
                yield node
        else:
            waiting += ast.iter_child_nodes(node)


def _modules(statement: Import) -> list[str]:
    """The modules that a statement imports; of `from package import name`, name if it is a submodule."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    source = statement.module or ""
    named = [f"{source}.{alias.name}" for alias in statement.names]
    return [name if _exists(name) else source for name in named]


def _rewritten(source: str, module: str, ours: set[str], package: str) -> str:
    """`source` with its imports of `ours` turned to `package`; everything else, comments too, as it is."""
    lines = source.encode().splitlines(keepends=True)
    starts, text = [0, *accumulate(map(len, lines))], b"".join(lines)
    statements = sorted(_imports(source, module, ours), key=lambda node: (node.lineno, node.col_offset), reverse=True)
    for node in statements:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        text = text[:start] + _turned(node, ours, package).encode() + text[end:]
    return text.decode()


def _turned(statement: Import, ours: set[str], package: str) -> str:
    """An import statement as one line that imports from `package`."""
    if isinstance(statement, ast.ImportFrom):
        return ast.unparse(ast.ImportFrom(f"{package}.{statement.module}", statement.names, 0))
    lines = []
    for alias in statement.names:
        if _top(alias.name) not in ours:
            lines.append(ast.unparse(ast.Import([alias])))
        elif alias.asname:
            lines.append(f"import {package}.{alias.name} as {alias.asname}")
        else:  # `import a.b` binds the name a
            lines.append(f"import {package}.{alias.name}; from {package} import {_top(alias.name)}")
    return "; ".join(lines)


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_package(module: str) -> bool:
    return hasattr(importlib.import_module(module), "__path__")


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False
