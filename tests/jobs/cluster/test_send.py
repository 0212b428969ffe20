"""What is decided before a command is sent; tests/cluster sends some."""

import shlex

import pytest
from cyclopts import CycloptsError

from raygan.jobs.cli import app
from raygan.jobs.cluster import send
from raygan.sharding.errors import UserError

TRAIN = "train --shards s3://faces/shards --runs /data/runs"


def words(line: str) -> list[str]:
    return shlex.split(line)


@pytest.mark.parametrize(
    "line",
    [
        f"{TRAIN} --name a --workers 8 --gpu",
        f"{TRAIN} --name a --resume auto",
        "train --resume a --runs /data/runs --generator.width 8",  # whether it fits, only the cluster knows
        f"{TRAIN} --config /data/best.yaml",
        "tune --shards s3://faces/shards --runs s3://faces/runs --trials 20",
        "shard /data/celeba s3://faces/shards --size 32",
        "evaluate a --runs /data/runs --json /data/scores.json",
        "doctor --shards s3://faces/shards --workers 8",
        "data synthesize /data/celeba --count 80",
    ],
)
def test_a_command_that_can_run_on_a_cluster_is_accepted(line: str) -> None:
    send.check(app, words(line))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "name the command to send after two dashes"),
        ("demo", "name the command to send after two dashes"),
        (
            "train --shards shards --runs /data/runs",
            "--shards shards: on the cluster this would lie on the disk",
        ),
        ("train --shards /data/shards", "--runs runs: on the cluster"),
        (f"{TRAIN} --config best.yaml", "--config best.yaml: on the cluster"),
        ("train --resume a --runs runs", "--runs runs: on the cluster"),
        ("shard celeba /data/shards", "--source celeba: on the cluster"),
        ("evaluate a --runs /data/runs --json scores.json", "--json scores.json: on the cluster"),
        ("train --tracking http://me:secret@mlflow:5000", r"http://\[redacted\]@mlflow:5000.*would see the credential"),
    ],
)
def test_a_command_that_would_fail_there_or_holds_a_credential_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        send.check(app, words(line))


@pytest.mark.parametrize("line", [f"{TRAIN} --batch 0", f"{TRAIN} --wrokers 2", "tarin"])
def test_a_mistyped_command_is_refused(line: str) -> None:
    with pytest.raises(CycloptsError):
        send.check(app, words(line))


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        (TRAIN, f"{TRAIN} --name job"),
        (f"{TRAIN} --name=run", f"{TRAIN} --name=run"),
        ("train --resume run --runs /r", "train --resume run --runs /r"),
        ("tune --runs /r", "tune --runs /r --name job"),
        ("shard /a /b", "shard /a /b"),
    ],
)
def test_a_run_gets_the_jobs_name_if_it_has_none(line: str, sent: str) -> None:
    assert send.named(words(line), "job") == words(sent)


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        (f"{TRAIN} --name run", f"{TRAIN} --name run --resume auto"),
        (f"{TRAIN} --name run --resume auto", f"{TRAIN} --name run --resume auto"),
        ("tune --shards /s --runs /r --name search --trials 9", "tune --resume search --runs /r"),
        ("tune --resume search --runs /r", "tune --resume search --runs /r"),
        ("shard /a /b", "shard /a /b"),
    ],
)
def test_a_resumed_command_continues_what_it_started(line: str, sent: str) -> None:
    assert send.resumed(words(line)) == words(sent)


def test_the_line_for_the_heads_shell_keeps_every_word_whole() -> None:
    line = send.entrypoint(["evaluate", "a b", "--runs", "/data/it's"], installed=True)
    assert shlex.split(line) == ["raygan", "evaluate", "a b", "--runs", "/data/it's"]
    assert send.entrypoint(["shard", "/a"], installed=False) == "python -P -m raygan.jobs shard /a"
