import re
import subprocess

from gsp_tf.training.provenance import config_hash, provenance


def test_versions_are_those_that_run():
    found = provenance()
    assert re.match(r"2\.(15|16|17|18|19|2\d)", found["tensorflow"])
    assert found["keras"].startswith("2.15" if found["tensorflow"].startswith("2.15") else "3.")
    assert all(found[name] for name in ("gsp_tf", "numpy", "python"))


def test_the_commit_is_git_s_or_none(monkeypatch):
    commit = provenance()["commit"]
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)

    def no_git(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", no_git)
    assert provenance()["commit"] is None


def test_the_hash_is_of_the_values_and_not_of_their_order():
    assert config_hash({"a": 1, "b": {"c": 2, "d": 3}}) == config_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
    assert re.fullmatch("[0-9a-f]{64}", config_hash({}))
