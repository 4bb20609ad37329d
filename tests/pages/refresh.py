"""Execute the pages at the demo profile and store their text outputs here, for nbval: `make references`.

A page that is fresh in the store is taken from there. Pictures, tables drawn as HTML and what a cell tagged
`nbval-ignore-output` shows are left out; what remains must be short and the same on every machine.
"""

import sys
from pathlib import Path
from typing import Any

import nbformat

from wlbook.runner import build, chapters, runs

HERE = Path(__file__).parent
LONGEST = 2000  # characters of text that one cell may show
NEVER_COMPARED = ("image/png", "image/jpeg")  # by nbval itself


def stripped(page: str, notebook: Any) -> Any:
    """A page's code cells with the outputs that nbval is to compare.

    Raises:
        ValueError: naming a cell that shows too much, or something that cannot be compared.
    """
    cells = []
    for number, cell in enumerate([cell for cell in notebook.cells if cell.cell_type == "code"], start=1):
        tags = cell.metadata.get("tags", [])
        outputs = [] if "nbval-ignore-output" in tags else [_kept(page, number, output) for output in cell.outputs]
        cells.append(
            nbformat.v4.new_code_cell(
                cell.source,
                id=cell.id,
                metadata={"tags": tags} if tags else {},
                outputs=[output for output in outputs if output],
                execution_count=number,
            )
        )
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": dict(notebook.metadata.kernelspec)})


def _kept(page: str, number: int, output: Any) -> Any:
    if output.output_type == "stream":
        if output.name == "stderr":
            return None
        text = output.text
    else:
        odd = [kind for kind in output.data if kind not in (*NEVER_COMPARED, "text/plain", "text/markdown")]
        if odd:
            raise ValueError(f"{page}, code cell {number} shows {odd[0]}: tag it nbval-ignore-output")
        output = nbformat.from_dict({**output, "metadata": {}})
        for kind in NEVER_COMPARED:
            output.data.pop(kind, None)
        if "execution_count" in output:
            output["execution_count"] = number
        text = "".join(output.data.values())
    if len(text) > LONGEST:
        raise ValueError(f"{page}, code cell {number} shows {len(text)} characters: show less, or nbval-ignore-output")
    return output


def refresh(folder: Path = HERE) -> None:
    """Write one reference a page, and remove those of pages that are gone."""
    run = runs.plan("demo", [])
    executed = build.execute(run, chapters.names(run.root), lambda line: None if line.endswith("\r") else print(line))
    for old in set(folder.glob("*.ipynb")) - {folder / f"{page}.ipynb" for page in executed}:
        old.unlink()
    for page, done in executed.items():
        notebook = stripped(page, nbformat.reads(done.notebook, 4))
        nbformat.write(notebook, folder / f"{page}.ipynb")
        print(f"{page:<18} {(folder / f'{page}.ipynb').stat().st_size / 1e3:.1f} kB")


if __name__ == "__main__":
    try:
        refresh()
    except (ValueError, RuntimeError) as error:
        sys.exit(f"refresh: {error}")
