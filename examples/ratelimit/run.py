"""Rate limiting added to a small web project, by a plan: shown, approved, done, repaired and audited.

    python examples/ratelimit/run.py                  # by a scripted agent: no account, no cost
    python examples/ratelimit/run.py --agent codex    # by your own Codex

It works on a copy of `project/`. The judge of step 4's condition asks the real application: `probe.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import trio

from stratum import open_runtime
from stratum.contracts.audit import audit_of, render_audit
from stratum.plans import Agents, Approvals, Case, CodexWorker, Judged, open_plans, read_plan, render_plan
from stratum.providers import scripted

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from scripted_agent import MODEL, PRICE, ScriptedAgent


def workspace(folder: Path) -> Path:
    """A copy of the project, as a git repository."""
    shutil.copytree(HERE / "project", folder)
    (folder / ".gitignore").write_text(".stratum/\n__pycache__/\n")
    author = ["-c", "user.name=An example", "-c", "user.email=example@localhost"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "A small web API"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


async def judge(case: Case) -> Judged:
    """Ask the application itself: every route often, as a client would that is to be limited."""
    probed = await trio.run_process([sys.executable, "probe.py"], cwd=case.workspace, capture_stdout=True, check=False)
    return Judged(holds=probed.returncode == 0, detail=probed.stdout.decode().strip())


async def rate_limited(folder: Path, *, agents: Agents, state: Path) -> str:
    """Run the plan in `folder`: its audit."""
    approvals = Approvals(folder, folder=state)
    async with (
        open_runtime(provider=scripted(), journal=folder / ".stratum" / "stratum.db", prices={MODEL: PRICE}) as runtime,
        open_plans(runtime, workspace=folder, approvals=approvals, judge=judge, agents=agents) as plans,
    ):
        draft = await plans.propose(read_plan((HERE / "plan.yaml").read_text()), by="the example")
        print(render_plan(await plans.compiled(draft.run)), end="\n\n")
        # Who runs the example has read the plan above; `stratum approve` is how a plan of an agent's is approved.
        approvals.approve(draft.digest, by="whoever runs the example", how="python")
        run = await plans.start(draft.run)
        await run.result()
        lines, reruns = audit_of(await runtime.journal.read(run.id))
        return render_audit(lines, extra_retries=reruns)


def main() -> None:
    by_codex = sys.argv[1:] == ["--agent", "codex"]
    with tempfile.TemporaryDirectory(prefix="ratelimit-") as scratch:
        folder = workspace(Path(scratch, "project"))
        agents = CodexWorker() if by_codex else ScriptedAgent()
        print(trio.run(lambda: rate_limited(folder, agents=agents, state=Path(scratch, "state"))))
        subprocess.run([sys.executable, "-m", "unittest", "-q"], cwd=folder, check=True)


if __name__ == "__main__":
    main()
