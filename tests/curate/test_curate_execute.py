"""The same recipe on other executors. No Slurm and no Ray run here: Slurm's commands are stood in for by scripts that run each task at once,
which shows that the jobs are whole and in order, and no more; of Ray only that its absence is told."""

import os
import stat
import sys
from pathlib import Path

import pytest
from corpus import settings_of

from hone.core.errors import Failed, MissingPackage
from hone.curate import curate_texts
from hone.curate.execute import build_executors
from hone.curate.recipe import recipe
from hone.curate.sources import divide, find_files

SBATCH = """#!{python}
import os, re, subprocess, sys
text = open(sys.argv[-1]).read()
if {is_run} and "merge_stats" not in text:
    first, last = map(int, re.search(r"--array=(\\d+)-(\\d+)", text).groups())
    for task in range(first, last + 1):
        environment = os.environ | {{"SLURM_ARRAY_TASK_ID": str(task), "SLURM_NODELIST": "here", "RUN_OFFSET": "0"}}
        subprocess.run(["bash", sys.argv[-1]], env=environment, check=True, capture_output=True)
if "merge_stats" not in text:
    with open({log!r}, "a") as log:
        log.write(" ".join(re.findall(r"--(?:job-name|partition|dependency)=\\S+", text + " ".join(sys.argv))) + "\\n")
print("Submitted batch job 7")
"""
SRUN = """#!{python}
import subprocess, sys
sys.exit(subprocess.run(["{bin}/launch_pickled_pipeline", sys.argv[-1]]).returncode)
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Puts stand-ins for sbatch, srun and scontrol on the path; gives a function that says whether jobs run, and the log of submissions."""
    folder, log = tmp_path / "slurm", tmp_path / "submitted.log"
    folder.mkdir()

    def install(*, is_run: bool) -> Path:
        scripts = {
            "sbatch": SBATCH.format(python=sys.executable, is_run=is_run, log=str(log)),
            "srun": SRUN.format(python=sys.executable, bin=Path(sys.executable).parent),
            "scontrol": "#!/bin/sh\necho here\n",
        }
        for name, script in scripts.items():
            (folder / name).write_text(script, encoding="utf-8")
            (folder / name).chmod(0o755 | stat.S_IEXEC)
        return log

    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return install


def test_slurm_gets_a_chain_of_jobs_and_the_same_command_gathers_them(crawl, tmp_path, slurm):
    log = slurm(is_run=True)
    chosen = {"only": ("quality", "exact"), "not_in": ()}
    settings = settings_of(crawl, tmp_path / "out", executor="slurm", partition="cpu", tasks=1, **chosen)
    assert curate_texts(settings) == (None, tmp_path / "out")
    jobs = log.read_text().splitlines()
    assert [line.split("--job-name=")[1].split()[0] for line in jobs] == [
        "hone-rules", "hone-exact-signatures", "hone-exact-duplicates", "hone-corpus",
    ]  # fmt: skip
    assert all("--partition=cpu" in line for line in jobs)
    assert ["--dependency=afterok:7" in line for line in jobs] == [False, True, True, True]
    record, folder = curate_texts(settings)
    alone, here = curate_texts(settings_of(crawl, tmp_path / "here", tasks=1, **chosen))
    assert record is not None
    assert [each.kept for each in record.steps] == [each.kept for each in alone.steps]
    assert (folder / "texts.jsonl.gz").read_bytes() == (here / "texts.jsonl.gz").read_bytes()


def test_jobs_that_are_not_done_are_not_handed_over_twice(crawl, tmp_path, slurm):
    log = slurm(is_run=False)
    settings = settings_of(crawl, tmp_path / "out", executor="slurm", partition="cpu", only=("quality",), not_in=())
    assert curate_texts(settings)[0] is None
    before = log.read_text()
    with pytest.raises(Failed, match=r"Tasks left: rules 4 of 4, corpus 4 of 4\. Give the same command again"):
        curate_texts(settings)
    assert log.read_text() == before
    assert not (tmp_path / "out" / "curation.json").exists()


def test_the_stages_of_an_executor_wait_for_each_other(crawl, tmp_path):
    settings = settings_of(crawl, tmp_path / "out", executor="slurm", partition="cpu", workers=3, memory_gb=9, time="1:00:00")
    files, _ = find_files(settings.sources)
    stages = recipe(settings, divide(files, 4), tmp_path / "work")
    executors = build_executors(settings, stages, tmp_path / "work")
    assert [stage.name for stage in stages] == [
        "rules", "exact signatures", "exact duplicates", "near signatures", "near pairs", "near groups", "corpus",
    ]  # fmt: skip
    assert [stage.tasks for stage in stages] == [4, 4, 1, 4, 14, 1, 4]
    assert [executor.depends for executor in executors] == [None, *executors[:-1]]
    assert {(executor.mem_per_cpu_gb, executor.time) for executor in executors} == {(9, "1:00:00")}
    assert [executor.workers for executor in executors] == [3, 3, 1, 3, 3, 1, 3]


def test_ray_is_asked_for_by_name_where_it_is_missing(crawl, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage, match=r"hone-lm\[ray\]"):
        curate_texts(settings_of(crawl, tmp_path / "out", executor="ray"))


def test_ray_gets_the_same_stages(crawl, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", type(sys)("ray"))  # only its name: what runs on it is not shown here
    settings = settings_of(crawl, tmp_path / "out", executor="ray", workers=2, memory_gb=3)
    stages = recipe(settings, divide(find_files(settings.sources)[0], 4), tmp_path / "work")
    executors = build_executors(settings, stages, tmp_path / "work")
    assert [type(executor).__name__ for executor in executors] == ["RayPipelineExecutor"] * 7
    assert [(executor.world_size, executor.mem_per_cpu_gb) for executor in executors] == [(stage.tasks, 3) for stage in stages]
