from gsp_tf.protocols.comparison import MethodSummary
from gsp_tf.report.table import comparison_table

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
    assert comparison_table([ONE, FIVE], markdown=True) == (
        "| method | seeds | test MAP@R | test P@R | test P@1 | s a run |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| GAP | 1 | 50.00 | 60.00 | 91.24 | 30 |\n"
        "| GSP+ZSR | 5 | 89.30 ± 0.71 | 90.00 ± 1.00 | 100.00 ± 0.00 | 128 |"
    )
