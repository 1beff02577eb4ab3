import csv

from gsp_tf.protocols.summary import MethodSummary
from gsp_tf.report.table import FORMATS, comparison_table, notes_text

ONE = MethodSummary("GAP", 1, {"MAP@R": 0.5, "P@R": 0.6, "P@1": 0.91239}, dict.fromkeys(("MAP@R", "P@R", "P@1")), 29.6)
FIVE = MethodSummary(
    "GSP+ZSR", 5, {"MAP@R": 0.893, "P@R": 0.9, "P@1": 1.0}, {"MAP@R": 0.00712, "P@R": 0.01, "P@1": 0.0}, 128.0
)


def test_text():
    assert comparison_table([ONE, FIVE]) == (
        "method   seeds    test MAP@R      test P@R      test P@1  s a run\n"
        "GAP          1         50.00         60.00         91.24       30\n"
        "GSP+ZSR      5  89.30 ± 0.71  90.00 ± 1.00  100.00 ± 0.00      128"
    ).replace("    test MAP@R      test P@R      test P@1", "    test MAP@R      test P@R       test P@1").replace(
        "         91.24", "          91.24")


def test_markdown():
    assert comparison_table([ONE, FIVE], "markdown") == (
        "| method | seeds | test MAP@R | test P@R | test P@1 | s a run |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| GAP | 1 | 50.00 | 60.00 | 91.24 | 30 |\n"
        "| GSP+ZSR | 5 | 89.30 ± 0.71 | 90.00 ± 1.00 | 100.00 ± 0.00 | 128 |"
    )


def test_csv_is_read_back():
    head, *rows = csv.reader(comparison_table([ONE, FIVE], "csv").splitlines())
    assert head == ["method", "seeds", "test MAP@R", "test P@R", "test P@1", "s a run"]
    assert rows[1] == ["GSP+ZSR", "5", "89.30 ± 0.71", "90.00 ± 1.00", "100.00 ± 0.00", "128"]


def test_latex_escapes_what_it_must():
    table = comparison_table([FIVE._replace(method="50 %_of #1 & more")], "latex").splitlines()
    assert table[0] == r"\begin{tabular}{lrrrrr}" and table[-1] == r"\end{tabular}"
    assert table[4] == (r"50 \%\_of \#1 \& more & 5 & 89.30 $\pm$ 0.71 & 90.00 $\pm$ 1.00 & 100.00 $\pm$ 0.00 & 128 \\")


def test_notes_are_comments_where_a_format_has_any():
    assert [notes_text(["a", "b"], style) for style in FORMATS] == ["\na\nb", "\na\nb", "\n# a\n# b", "\n% a\n% b"]
    assert notes_text([]) == ""
