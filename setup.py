"""The wheel's copy of the workflow; all else is in pyproject.toml.

In a clone the Snakefile and `workflow/` stand at the top, where Snakemake looks for them. A wheel has the package
alone, so building one copies them into it. `codsa.workflow.shipped` finds either.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = "codsa/workflow/files"
PATTERNS = (
    "Snakefile",
    "workflow/rules/*.smk",
    "workflow/captions/*",
    "workflow/profiles/*/*.yaml",
    "workflow/schemas/*.json",
    "workflow/experiments/sim*.yaml",  # simulated data; the others read files of the clone
)


class BuildWithWorkflow(build_py):
    """Copies the workflow beside the modules, except into an editable installation, which has the clone."""

    def run(self) -> None:
        """Build the modules, then copy the workflow."""
        super().run()
        for source, target in self.get_workflow().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target)

    def get_workflow(self) -> dict[str, str]:
        """Return the files of the workflow, each with its place in the wheel."""
        if self.editable_mode:
            return {}
        files = sorted(file for pattern in PATTERNS for file in Path().glob(pattern))
        return {str(file): str(Path(self.build_lib, SHIPPED, file)) for file in files}

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return all files that are written."""
        return [*super().get_outputs(include_bytecode), *self.get_workflow().values()]

    def get_source_files(self) -> list[str]:
        """Return all files that a source distribution needs."""
        return [*super().get_source_files(), *(str(f) for pattern in PATTERNS for f in sorted(Path().glob(pattern)))]


setup(cmdclass={"build_py": BuildWithWorkflow})
