"""A contract for import-linter: a module named `_something` is imported only in its folder."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class PrivateModules(Contract):
    """Modules below `root` whose name begins with one underscore belong to the folder they lie in;
    sub-folders of it may import them, nothing else may.
    """

    root = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        package = str(self.root)
        broken = [
            (importer, private)
            for private in sorted(graph.find_descendants(package))
            if is_private(private)
            for importer in sorted(graph.find_modules_that_directly_import(private))
            if not f"{importer}.".startswith(f"{private.rpartition('.')[0]}.")
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, private in check.metadata["broken"]:
            output.print_error(f"{importer} imports {private}, which belongs to its folder alone.")


def is_private(module: str) -> bool:
    """Whether the last part of a dotted name begins with one underscore."""
    name = module.rpartition(".")[2]
    return name.startswith("_") and not name.startswith("__")
