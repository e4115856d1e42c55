"""The site: which address shows what, and what each form does.

Every form is answered with a redirect to the page that shows what came of it: loading that again does nothing twice.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from importlib.resources import files
from typing import Final

import msgspec
import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from stratum.contracts.audit import traces_of
from stratum.contracts.errors import RunError, StratumError, UnknownRun
from stratum.contracts.messages import CancelRun, Message, RaiseLimits
from stratum.contracts.plans.text import to_yaml
from stratum.engine.plans.approval.proposal import discard_draft
from stratum.engine.plans.questions import OpenQuestion
from stratum.engine.raised_limits import raise_limits_of_stopped
from stratum.engine.report.page import report_page
from stratum.ui.editing import edit_page, fields_page
from stratum.ui.forms import read_form
from stratum.ui.limits import (
    NotRaised,
    as_sent,
    can_be_raised,
    confirmation_page,
    limits_of,
    limits_page,
    typed_limits,
)
from stratum.ui.listing import listing_page
from stratum.ui.plan_fields import MOST_STEPS
from stratum.ui.project import Project, Sight
from stratum.ui.review import review_page
from stratum.ui.saving import save_edit
from stratum.ui.shell import ICON, Said, notice_page, page
from stratum.ui.style import PAGE_STYLE
from stratum.ui.visitors import Visitors
from stratum.ui.watching import run_page

SAID: Final = {
    "approved": Said("Approved: exactly the plan below."),
    "revoked": Said("The approval is taken back."),
    "edited": Said("Saved. This is the plan now; it is to be approved anew."),
    "same": Said("Nothing was changed."),
    "answered": Said("Your answer was sent."),
    "cancelled": Said("It was asked to stop."),
    "changed": Said(
        "The plan has changed since you looked at it: nothing was approved. This is the plan now.", well=False
    ),
    "discarded": Said("Discarded: it stays in the journal, and never begins."),
    "not-discarded": Said(
        "The plan has changed since you looked at it: nothing was discarded. This is the plan now.", well=False
    ),
    "was-discarded": Said("It was discarded meanwhile: nothing was done.", well=False),
    "begun": Said("It has begun meanwhile: this is how it stands.", well=False),
    "gone": Said("This is not asked any more: somebody answered, or the run went on.", well=False),
    "nobody": Said("No process is running it now: there is nobody to be told.", well=False),
    "outside": Said("These are calls outside a flow: stop the process that makes them.", well=False),
    "too-long": Said("That is too long to be kept with the run: nothing was sent.", well=False),
    "raised": Said("Its limits are raised; it goes on with them once it is resumed."),
    "told-limits": Said("The run was told its new limits."),
    "no-limits": Said(
        "Its limits cannot be raised now: it has none, has not begun, is over, or is a flow at work.", well=False
    ),
    "not-an-answer": Said("That is no answer to this question; it waits on.", well=False),
}
"""What a page says first, by the word in its address: a text in an address could be anybody's."""
_LIMITS_CHANGED: Final = Said(
    "Its limits were changed meanwhile; nothing was done. These are the limits now.", well=False
)
MOST_SAID: Final = 100_000
"""Characters of an answer, a comment or a reason: they go into the run's records."""
_TAKEN_UP_S: Final = 2.0
"""How long what was posted may take to show before the page is shown without it."""
_REPORT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class Site:
    """The pages of one project, and what their forms do."""

    def __init__(
        self, project: Project, visitors: Visitors, *, cookie: str, entered: Callable[[], None], folder: str
    ) -> None:
        self._project = project
        self._visitors = visitors
        self._cookie = cookie
        self._entered = entered
        self._folder = folder

    def app(self) -> Starlette:
        """ASGI; to be put behind a `Guard`."""
        static = partial(_static, live=files("stratum.ui").joinpath("live.js").read_text(encoding="utf-8"))
        get, post = ["GET"], ["POST"]
        routes = [
            Route("/enter", self.enter, methods=get),
            *(
                Route(f"/{name}", partial(static, name=name), methods=get)
                for name in ("page.css", "live.js", "icon.svg")
            ),
            Route("/", self.listing, methods=get),
            Route("/runs/{run}", self.run, methods=get),
            Route("/runs/{run}/edit", self.edit, methods=get),
            Route("/runs/{run}/limits", self.limits, methods=get),
            Route("/runs/{run}/report", self.report, methods=get),
            Route("/runs/{run}/audit.jsonl", self.audit, methods=get),
            Route("/runs/{run}/edit", self.save, methods=post),
            Route("/runs/{run}/approve", self.approve, methods=post),
            Route("/runs/{run}/revoke", self.revoke, methods=post),
            Route("/runs/{run}/discard", self.discard, methods=post),
            Route("/runs/{run}/limits", self.raise_limits, methods=post),
            Route("/runs/{run}/answer", self.answer, methods=post),
            Route("/runs/{run}/cancel", self.cancel, methods=post),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _refused, StratumError: _failed})

    async def enter(self, request: Request) -> Response:
        # A browser that fetches an address before it is opened must not use it up.
        ahead = "prefetch" in request.headers.get("sec-purpose", "") or request.method != "GET"
        cookie = None if ahead else self._visitors.enter(request.query_params.get("key", ""))
        if cookie is None:
            text = "This address was used, or never was one. Open the one that <code>stratum ui</code> printed last."
            return HTMLResponse(notice_page("Not let in", text), status_code=401)
        self._entered()
        # No redirect: after one that began at another site, a browser would leave out the cookie that it was just given.
        answer = HTMLResponse(
            notice_page("Welcome", '<a href="/">To the plans and runs</a>'), headers={"Refresh": "0; url=/"}
        )
        answer.set_cookie(self._cookie, cookie, httponly=True, samesite="strict", path="/")
        return answer

    async def listing(self, request: Request) -> Response:
        runs = await self._project.runs()
        return _shown(request, listing_page(self._folder, runs, await self._project.unfinished(runs)))

    async def run(self, request: Request) -> Response:
        sight = await self._sight(request)
        show = review_page if sight.in_review else run_page
        said = SAID.get(request.query_params.get("said", ""))
        html = await trio.to_thread.run_sync(partial(show, sight, form=self._form(request), said=said))
        return _shown(request, html)

    async def report(self, request: Request) -> Response:
        sight = await self._sight(request)
        html = await trio.to_thread.run_sync(report_page, sight.facts)
        return HTMLResponse(html, headers={"Content-Security-Policy": _REPORT_POLICY})

    async def audit(self, request: Request) -> Response:
        sight = await self._sight(request)
        lines = b"".join(msgspec.json.encode(trace) + b"\n" for trace in traces_of(sight.records).values())
        name = f'attachment; filename="{sight.id}.jsonl"'
        return Response(lines, media_type="application/jsonl", headers={"Content-Disposition": name})

    async def edit(self, request: Request) -> Response:
        sight = await self._sight(request)
        if not sight.in_review:
            return _to(sight.id, sight.why_not_in_review)
        form, plan = self._form(request), sight.past.plan
        if request.query_params.get("as") != "yaml" and len(plan.steps) <= MOST_STEPS:
            return HTMLResponse(fields_page(sight, form=form))
        text = await trio.to_thread.run_sync(to_yaml, plan)
        return HTMLResponse(edit_page(sight, text, form=form, digest=sight.digest))

    async def save(self, request: Request) -> Response:
        sent = await read_form(request, self._visitors)
        sight = await self._sight(request)
        done = await save_edit(self._project, sight, sent, form=self._form(request), by=getpass.getuser())
        return _to(sight.id, done) if isinstance(done, str) else HTMLResponse(done.html, status_code=done.status)

    async def approve(self, request: Request) -> Response:
        form = await read_form(request, self._visitors)
        sight = await self._sight(request)
        if not sight.in_review:
            return _to(sight.id, sight.why_not_in_review)
        # What is approved is what was shown, whatever has become of the plan between this line and the next.
        if form.get("digest") != sight.digest or sight.compiled is None:
            html = review_page(sight, form=self._form(request), said=SAID["changed"])
            return HTMLResponse(html, status_code=409)
        approve = partial(self._project.approvals.approve, sight.digest, by=getpass.getuser(), how="page")
        await trio.to_thread.run_sync(approve)
        return _to(sight.id, "approved")

    async def revoke(self, request: Request) -> Response:
        form = await read_form(request, self._visitors)
        sight = await self._sight(request)
        if not sight.in_review:
            return _to(sight.id, sight.why_not_in_review)
        if form.get("digest") == sight.digest:
            await trio.to_thread.run_sync(self._project.approvals.revoke, sight.digest)
        return _to(sight.id, "revoked")

    async def discard(self, request: Request) -> Response:
        form = await read_form(request, self._visitors)
        sight = await self._sight(request)
        if not sight.in_review:
            return _to(sight.id, sight.why_not_in_review)
        if form.get("digest") != sight.digest:
            html = review_page(sight, form=self._form(request), said=SAID["not-discarded"])
            return HTMLResponse(html, status_code=409)
        journal, approvals = self._project.journal, self._project.approvals
        because = form.get("because", "").strip()
        await discard_draft(journal, sight.id, approvals=approvals, by=getpass.getuser(), because=because)
        return _to(sight.id, "discarded")

    async def answer(self, request: Request) -> Response:
        form = await read_form(request, self._visitors)
        sight = await self._sight(request)
        question = next(
            (each for each in sight.questions if (each.step, str(each.round)) == (form.get("step"), form.get("round"))),
            None,
        )
        if question is None:
            return _to(sight.id, "gone")
        value = _value(question, form)
        if value is None:
            return _to(sight.id, "not-an-answer")
        message = question.answered(value, by=getpass.getuser(), comment=form.get("comment", "").strip())
        return await self._tell(
            request, sight, message, until=lambda now: question not in now.questions, said="answered"
        )

    async def cancel(self, request: Request) -> Response:
        form = await read_form(request, self._visitors)
        sight = await self._sight(request)
        if not sight.resumable:
            return _to(sight.id, "outside")
        message = CancelRun(by=getpass.getuser(), reason=form.get("because", "").strip())
        return await self._tell(request, sight, message, until=lambda now: not now.alive, said="cancelled")

    async def limits(self, request: Request) -> Response:
        """The form, or, once it is filled in, the question whether that is to be done."""
        sight = await self._sight(request)
        if not can_be_raised(sight):
            return _to(sight.id, "no-limits")
        typed = dict(request.query_params)
        if not typed:
            return HTMLResponse(limits_page(sight))
        try:
            new = typed_limits(sight, typed)
        except NotRaised as problem:
            return HTMLResponse(limits_page(sight, typed, said=Said(str(problem), well=False)), status_code=422)
        return HTMLResponse(confirmation_page(sight, typed, new, form=self._form(request)))

    async def raise_limits(self, request: Request) -> Response:
        typed = await read_form(request, self._visitors)
        sight = await self._sight(request)
        if not can_be_raised(sight):
            return _to(sight.id, "no-limits")
        try:
            new = typed_limits(sight, typed)
        except NotRaised as problem:
            return HTMLResponse(limits_page(sight, typed, said=Said(str(problem), well=False)), status_code=409)
        # Confirmed were these figures in place of those; of others nobody was asked.
        if typed.get("before") != as_sent(limits_of(sight)):
            return HTMLResponse(limits_page(sight, typed, said=_LIMITS_CHANGED), status_code=409)
        if not sight.alive:
            await raise_limits_of_stopped(self._project.journal, sight.id, new, by=getpass.getuser())
            return _to(sight.id, "raised")
        return await self._tell(
            request,
            sight,
            RaiseLimits(by=getpass.getuser(), limits=new),
            until=lambda now: now.facts.limits == {**sight.facts.limits, **new},
            said="told-limits",
        )

    async def _tell(
        self, request: Request, sight: Sight, message: Message, *, until: Callable[[Sight], bool], said: str
    ) -> Response:
        """Leave a message for the run's owner, and give it a moment to be taken up: the page then shows that."""
        if len(msgspec.json.encode(message)) > MOST_SAID:
            return _to(sight.id, "too-long")
        if not await self._project.journal.post(sight.id, message):
            return _to(sight.id, "nobody")
        with trio.move_on_after(_TAKEN_UP_S):
            while not until(await self._sight(request)):
                await trio.sleep(0.05)
        return _to(sight.id, said)

    async def _sight(self, request: Request) -> Sight:
        return await self._project.sight(request.path_params["run"])

    def _form(self, request: Request) -> str:
        return self._visitors.form_token(request.scope["visitor"])


def _value(question: OpenQuestion, form: dict[str, str]) -> str | None:
    """The answer as a person would type it; `None` if it is none that is offered."""
    if not question.options:
        return form.get("value")
    if (choice := form.get("choice")) is not None:
        number = int(choice) if choice.isascii() and choice.isdecimal() and len(choice) < 5 else 0
        return question.options[number - 1] if 1 <= number <= len(question.options) else None
    value = form.get("value")
    return value if value in question.options else None


def _to(run: str, said: str) -> Response:
    return RedirectResponse(f"/runs/{run}?said={said}", status_code=303)


def _shown(request: Request, html: str) -> Response:
    """A page that may be asked for again and again: only if it has changed is it sent."""
    body = html.encode()
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return HTMLResponse(body, headers={"ETag": tag})


async def _static(request: Request, *, name: str, live: str) -> Response:
    text, kind = {
        "page.css": (PAGE_STYLE, "text/css"),
        "live.js": (live, "text/javascript"),
        "icon.svg": (ICON, "image/svg+xml"),
    }[name]
    return Response(text, media_type=kind)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return HTMLResponse(
            notice_page("Not found", 'There is no such page. <a href="/">To the plans and runs</a>'), status_code=404
        )
    return PlainTextResponse(error.detail, status_code=error.status_code)


async def _failed(request: Request, error: Exception) -> Response:
    """What the journal or the approvals' folder cannot do, in their own words."""
    status = 404 if isinstance(error, UnknownRun) else 409 if isinstance(error, RunError) else 500
    said = Said(str(error), well=False)
    return HTMLResponse(
        page("This cannot be done", ["<h1>This cannot be done</h1>"], trail=[("/", "Runs")], said=said),
        status_code=status,
    )
