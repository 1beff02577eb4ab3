"""Every command and every Python snippet of README.md and docs/ is run, in the order a reader meets them.

They run in one temporary copy of the project, so what `train.py` writes is there for what is shown next. A
command that no row of `ACTIONS` knows fails its test: nothing is left out without being named there.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from gsp_tf.stack import installed_stack

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("README.md"), *sorted((ROOT / "docs").rglob("*.md"))]

# A documented training command trains for minutes; with these it ends in seconds and takes the same path.
SHORT_TRAINING = " --override training.steps=8 training.evaluate_every=4 prototypes.warmup_steps=4 seeds=[0]"
# Two poolings stand for all of a bake-off; tests/training/test_build.py builds every one.
SHORT_BAKE_OFF = SHORT_TRAINING + (
    " 'axes.pooling={GAP: {model: {pooling: {name: GAPPooling}}}, WELDON: {model: {pooling: {name: WELDONPooling}}}}'"
)
# Two methods of these stand for all: tests/training/test_build.py builds every one.
SOME = {
    "--config configs/digits_mixture/table.yaml": ("GAP", "GSP"),
    "--config configs/digits_collage/table.yaml": ("GAP", "GSP"),
    "--config configs/digits_mixture/unseen_background.yaml": ("GAP", "GSP"),
    "--config configs/digits_mixture/losses.yaml": ("C2", "C2+CCP"),
    "--strategy mirrored": ("GAP", "GSP"),
}
STUDIES = "configs/digits_mixture/studies"
# Two trials of each stand for all.
SHORT_MU = SHORT_TRAINING + " 'study.parameters.mu.values=[0.1, 0.9]'"
SHORT_SCREENING = SHORT_TRAINING + " study.parameters.m=null study.parameters.mu=null 'study.generators={}'"
TIMEOUT_SECONDS = 900

PYTHON = {"python", "py"}
SHELL = {"bash", "sh", "shell", "console"}
# Shown and not run. A fence without a language is none of these: it fails, for it could hide a command.
SHOWN = {"text", "yaml", "json", "bibtex", "toml", "math", "mermaid"}


class Block(NamedTuple):
    """One fenced block of a Markdown document."""

    document: str
    line: int
    language: str
    text: str


class Step(NamedTuple):
    """One thing to run: a shell command, or a whole Python snippet."""

    document: str
    line: int
    kind: str
    text: str


class Action(NamedTuple):
    """What is done with the commands that start with `prefix`."""

    prefix: str
    kind: str
    appended: str = ""


ACTIONS = [
    # run: as it stands, or with something appended that makes it short.
    Action("python train.py", "run", SHORT_TRAINING),
    *(Action(f"python train.py {job}", "run", f"{SHORT_TRAINING} --method {' '.join(methods)}")
      for job, methods in SOME.items()),
    Action("gsp-train", "run", SHORT_TRAINING),
    Action("python evaluate.py", "run"),
    Action("gsp-evaluate", "run"),
    Action("gsp-data", "run"),
    Action("python -m gsp_tf.experiments.bake_off", "run", SHORT_BAKE_OFF),
    Action("python -m gsp_tf.experiments.search", "run", SHORT_TRAINING),
    Action(f"python -m gsp_tf.experiments.search {STUDIES}/mu.yaml", "run", SHORT_MU),
    Action(f"python -m gsp_tf.experiments.search {STUDIES}/screening.yaml", "run", SHORT_SCREENING),
    Action("python benchmarks/", "run", " --quick"),
    Action("python -m venv", "run"),
    Action("python -c", "run"),
    Action("ls", "run"),
    Action("cat", "run"),
    # A server that would never end; this prints what it found and ends.
    Action("tensorboard", "run", " --inspect"),
    # file: a change of the reader's own shell; the file it names must be there.
    Action("source", "file"),
    # ci: too long or recursive here; `.ci/run` must have this very line.
    Action("pip install", "ci"),
    Action("python -m pytest", "ci"),
    Action("ruff check", "ci"),
    # itself: the caller of these tests.
    Action(".ci/run", "itself"),
]


def blocks_of(markdown: str, document: str) -> list[Block]:
    """All fenced blocks; `line` is where the text inside starts, counted from 1."""
    blocks, fence, language, start, indent, body = [], None, "", 0, "", []
    for number, line in enumerate(markdown.splitlines(), start=1):
        opening = re.match(r"^([ \t>]*)(`{3,}|~{3,})[ \t]*([^\s`{]*)", line)
        if fence is None and opening:
            indent, fence, language = opening.groups()
            start, body = number + 1, []
        elif fence is not None and re.match(rf"^[ \t>]*{fence[0]}{{{len(fence)},}}[ \t]*$", line):
            text = textwrap.dedent("\n".join(body))
            blocks.append(Block(document, start, language.lower(), text))
            fence = None
        elif fence is not None:
            body.append(line.removeprefix(indent))
    if fence is not None:
        raise ValueError(f"{document}:{start}: the fenced block is not closed")
    return blocks


def commands_of(text: str) -> list[tuple[int, str]]:
    """The commands of a shell block, each with its place in lines from the block's start.

    Comments go, continued lines are joined, commands joined by && are separated, and where the block shows
    prompts what has none is output.
    """
    lines = text.splitlines()
    prompted = any(line.startswith("$ ") for line in lines)
    commands, pending, start = [], "", 0
    for number, line in enumerate(lines):
        if not pending:
            start = number
            if prompted and not line.startswith("$ "):
                continue
            line = line.removeprefix("$ ")
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        for command in split_commands(pending + line):
            commands.append((start, command))
        pending = ""
    return commands


def split_commands(line: str) -> list[str]:
    """Cut at && and drop a comment, both outside quotes only; inner runs of spaces become one."""
    tokens = re.findall(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""", line)
    commands, words = [], []
    for token in tokens:
        if token.startswith("#"):
            break
        if token == "&&":
            commands.append(" ".join(words))
            words = []
        else:
            words.append(token)
    return [command for command in [*commands, " ".join(words)] if command]


def steps_of(blocks: list[Block]) -> list[Step]:
    steps = []
    for block in blocks:
        if block.language in PYTHON:
            steps.append(Step(block.document, block.line, "python", block.text))
        elif block.language in SHELL:
            for offset, command in commands_of(block.text):
                steps.append(Step(block.document, block.line + offset, "shell", command))
        elif block.language not in SHOWN:
            steps.append(Step(block.document, block.line, "unknown", block.language or "no language"))
    return steps


def action_for(command: str) -> Action | None:
    """The action with the longest prefix that fits; variables set in front of the command do not count."""
    bare = re.sub(r"""^(?:\w+=(?:'[^']*'|"[^"]*"|[^\s'"])*\s+)*""", "", command)
    fitting = [
        action
        for action in ACTIONS
        if bare == action.prefix
        or bare.startswith(action.prefix + " ")
        or (action.prefix.endswith("/") and bare.startswith(action.prefix))
    ]
    return max(fitting, key=lambda action: len(action.prefix), default=None)


def copy_project(target: Path) -> None:
    """Copy what is source: all but what .gitignore names."""
    ignored = [".git", *(ROOT / ".gitignore").read_text(encoding="utf-8").split()]

    def leave_out(_, names):
        return {name for pattern in ignored for name in fnmatch.filter(names, pattern)}

    shutil.copytree(ROOT, target, ignore=leave_out)


def run(arguments: list[str], workspace: Path) -> None:
    """Run in the workspace with the Python of these tests, and fail with what was printed."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(workspace),
        "MPLBACKEND": "Agg",
    }
    done = subprocess.run(
        arguments,
        cwd=workspace,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, f"{arguments[-1]}\nended with {done.returncode}:\n{done.stdout[-6000:]}"


def take(step: Step, workspace: Path) -> None:
    """Do what the step asks for, or what `ACTIONS` says is done in its place."""
    if step.kind == "python":
        # Blank lines in front, so that a traceback's line is the document's.
        snippet = workspace / f"{Path(step.document).stem}_line_{step.line}.py"
        snippet.write_text("\n" * (step.line - 1) + step.text + "\n", encoding="utf-8")
        run([sys.executable, str(snippet)], workspace)
        return
    assert step.kind == "shell", (
        f"a fenced block has {step.text}; it takes one of {sorted(PYTHON | SHELL)}, which run, "
        f"or of {sorted(SHOWN)}, which do not"
    )
    action = action_for(step.text)
    assert action is not None, f"no row of ACTIONS in {Path(__file__).name} knows the command: {step.text}"
    if action.kind == "run":
        run(["bash", "-c", step.text + action.appended], workspace)
    elif action.kind == "file":
        assert (workspace / step.text.split()[-1]).is_file(), f"no such file: {step.text.split()[-1]}"
    elif action.kind == "ci":
        assert step.text in ci_commands(), f".ci/run does not execute: {step.text}"
    else:
        assert action.kind == "itself" and os.access(ROOT / ".ci" / "run", os.X_OK)


def ci_commands() -> list[str]:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]


STEPS = [
    step
    for path in DOCUMENTS
    for step in steps_of(blocks_of(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()))
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    target = tmp_path_factory.mktemp("readme") / "project"
    copy_project(target)
    yield target
    shutil.rmtree(target)


@pytest.mark.readme
@pytest.mark.skipif(
    (installed_stack().keras or "").startswith("2."),
    reason="the documents' commands and snippets are run on the current stack, and this one has Keras 2",
)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.document}:{step.line}")
def test_document(step, workspace):
    take(step, workspace)


def test_readme_shows_how_to_install_train_evaluate_and_test():
    commands = {step.text for step in STEPS if step.document == "README.md" and step.kind == "shell"}
    assert {"pip install -e .", 'pip install -e ".[addons]"', "python -m pytest"} <= commands
    assert "python train.py" in commands
    assert any(command.startswith("python evaluate.py ") for command in commands)
    assert any(step.document == "README.md" and step.kind == "python" for step in STEPS)


MARKDOWN = """\
# Title

Inline `python nothing.py` is prose.

```python
x = 1
print(x)
```

1. In a list:

   ~~~bash
   pip install -e ".[test]" && A=1 python train.py   # minutes, "quoted"
   python evaluate.py runs/a \\
       --export 'b # c'
   ~~~

```console
$ ls runs && echo "a && b"
digits_mixture
```

```yaml
training: {steps: 8}
```

````
```bash
rm -rf nothing
```
````
"""


def test_extractor_finds_every_block_and_command_at_its_line():
    assert steps_of(blocks_of(MARKDOWN, "a.md")) == [
        Step("a.md", 6, "python", "x = 1\nprint(x)"),
        Step("a.md", 13, "shell", 'pip install -e ".[test]"'),
        Step("a.md", 13, "shell", "A=1 python train.py"),
        Step("a.md", 14, "shell", "python evaluate.py runs/a --export 'b # c'"),
        Step("a.md", 19, "shell", "ls runs"),
        Step("a.md", 19, "shell", 'echo "a && b"'),
        Step("a.md", 28, "unknown", "no language"),
    ]


def test_extractor_refuses_a_block_that_is_not_closed():
    with pytest.raises(ValueError, match="a.md:2"):
        blocks_of("```bash\nls\n", "a.md")


@pytest.mark.parametrize(
    ("command", "prefix"),
    [
        ("python train.py", "python train.py"),
        ("TF_CONFIG='{\"a\": 1}' B=2 python train.py --seed 1", "python train.py"),
        ("python benchmarks/transport.py", "python benchmarks/"),
        ("pip install -e .", "pip install"),
        ("python -m pytest", "python -m pytest"),
    ],
)
def test_a_known_command_has_an_action(command, prefix):
    assert action_for(command).prefix == prefix


@pytest.mark.parametrize(
    "command", ["rm -rf runs", "python train.pyc", "python a.py", "lsof", "echo pip install"]
)
def test_an_unknown_command_fails(command, tmp_path):
    assert action_for(command) is None
    with pytest.raises(AssertionError, match="no row of ACTIONS"):
        take(Step("a.md", 1, "shell", command), tmp_path)


@pytest.mark.parametrize(
    "step",
    [
        Step("a.md", 3, "python", "raise SystemExit(1)"),
        Step("a.md", 3, "python", "1 / 0"),
        Step("a.md", 3, "shell", "python -c 'raise ValueError'"),
        Step("a.md", 3, "shell", "ls not_there"),
        Step("a.md", 3, "shell", "source not_there/activate"),
        Step("a.md", 3, "shell", "pip install something-else"),
        Step("a.md", 3, "shell", "python -m pytest --of-another-kind"),
        Step("a.md", 3, "unknown", "no language"),
    ],
)
def test_a_step_that_fails_is_a_failure(step, tmp_path):
    with pytest.raises(AssertionError):
        take(step, tmp_path)


def test_steps_share_files_and_not_names(tmp_path):
    take(Step("a.md", 1, "python", "name = 1\nopen('made', 'w').close()"), tmp_path)
    take(Step("a.md", 4, "shell", "ls made"), tmp_path)
    snippet = "import os\nassert os.path.exists('made') and 'name' not in globals()"
    take(Step("a.md", 9, "python", snippet), tmp_path)


def test_a_traceback_names_the_line_of_the_document(tmp_path):
    with pytest.raises(AssertionError, match="line 8"):
        take(Step("a.md", 7, "python", "x = 1\nraise RuntimeError('here')"), tmp_path)


def test_the_copy_has_the_sources_and_not_what_runs_leave_behind(tmp_path):
    copy_project(tmp_path / "copy")
    assert (tmp_path / "copy" / "gsp_tf" / "version.py").is_file()
    for left_out in (".git", "runs", "gsp_tf/__pycache__"):
        assert not (tmp_path / "copy" / left_out).exists()


@pytest.mark.parametrize(
    "line", ["pip install -e .", 'pip install -e ".[addons]"', "python -m pytest", "ruff check ."]
)
def test_ci_executes_what_the_documents_name(line):
    assert line in ci_commands()
