"""The HTTP interface. docs/serving.md tells how to run it and what it keeps (nothing)."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from speech2face import __version__
from speech2face.errors import BusyError, Speech2FaceError, UsageError
from speech2face.face_drawing import check_hair
from speech2face.model_folders import Model
from speech2face.pictures import check_style
from speech2face.privacy.anonymisers import load_anonymiser
from speech2face.privacy.protect_recording import choose_rule
from speech2face.serving.disconnects import finish_unless_gone
from speech2face.serving.error_responses import answer_request
from speech2face.serving.inference import CheckTask, InferenceResult, InferenceTask, load_inference
from speech2face.serving.limits import Limits
from speech2face.serving.middleware import Metrics, RequestObserver
from speech2face.serving.origins import Origins
from speech2face.serving.parameters import (
    Again,
    From,
    Hair,
    Keep,
    Method,
    Samples,
    Seed,
    Size,
    Speaker,
    Strength,
    Style,
    To,
    Track,
    refuse_unknown,
)
from speech2face.serving.protection import ProtectTask, choose_wanted, load_protection
from speech2face.serving.schemas import (
    PICTURE,
    PNG,
    PROBLEMS,
    PROTECTED_ALONE,
    RECORDING,
    WARNINGS,
    Bounds,
    Embedding,
    Face,
    Health,
    ModelFacts,
    Models,
    PictureCheck,
    Protected,
)
from speech2face.serving.uploads import UploadBudget, receive
from speech2face.serving.websocket import ROUTE as STREAM
from speech2face.serving.websocket import Streams
from speech2face.serving.worker_pool import WorkerPool
from speech2face.speech import ALL, parse_speaker

WEB = Path(__file__).parent / "web"
PROTECT = "/v1/protect"
API = {"/v1/reconstruct", "/v1/embed", "/v1/check", PROTECT, "/v1/models", STREAM}
ROUTES = API | {"/healthz", "/readyz", "/metrics", "/openapi.json"}
FILES = {"/", *(f"/{path.name}" for path in WEB.iterdir() if path.is_file())}
PATHS = ROUTES | FILES


def make_app(
    model: Model, limits: Limits, origins: Origins, on_fatal: Callable[[Speech2FaceError], None]
) -> FastAPI:
    """The service of one model. Its workers start with it and end with it.

    `origins` says which pages may open streams; `on_fatal` is called with the reason where no
    worker can be started.
    """
    request_metrics, budget = Metrics(ROUTES), UploadBudget(limits)
    paths = PATHS if limits.protectors else PATHS - {PROTECT}

    def count_lost(reason: str) -> None:
        request_metrics.replaced.labels(reason).inc()

    folder = str(model.folder)
    infer_in_worker = functools.partial(load_inference, folder, limits.listened)
    pool = WorkerPool(infer_in_worker, limits, count_lost, on_fatal)
    # Started by the first who asks, and not reused: one that has worked holds most of a gigabyte.
    protectors = WorkerPool(
        functools.partial(load_protection, folder, limits.protected),
        limits.of_protection(),
        count_lost,
        on_fatal=None,
        kind="protector",
        reused=False,
    )
    streams = Streams(pool, budget, limits, request_metrics, origins)

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        pool.start()
        try:
            yield
        finally:
            await pool.stop()
            await protectors.stop()

    app = FastAPI(
        title="speech2face",
        version=__version__,
        summary="Draws the typical face that a voice suggests. It shows nobody's portrait.",
        lifespan=live,
        docs_url=None,  # its page comes from a CDN
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": "."}],  # of /openapi.json: right behind a proxy that adds a prefix too
        dependencies=[Depends(refuse_unknown)],
    )
    app.add_middleware(RequestObserver, metrics=request_metrics, paths=paths)

    async def answer(connection: HTTPConnection, error: Exception) -> Response | None:
        if isinstance(connection, WebSocket):
            return await streams.refuse(connection, error)
        return answer_request(Request(connection.scope), error, paths)

    for kind in (
        Speech2FaceError,
        HTTPException,
        RequestValidationError,
        WebSocketRequestValidationError,
    ):
        app.add_exception_handler(kind, answer)  # type: ignore[arg-type]  # may be for sockets

    async def infer(request: Request, **wanted: Any) -> InferenceResult:
        start, end = wanted["start"], wanted["end"]
        if end is not None and end <= start:
            raise UsageError(f"to is {end:g} s; it must lie after from, {start:g} s.")
        pool.check_room()
        with budget.open(limits.body) as buffer:
            await receive(request, buffer, limits)
            return await pool.submit(InferenceTask(**wanted), buffer.file)

    @app.post(
        "/v1/reconstruct",
        response_model=Face,
        responses={200: PNG, **PROBLEMS},
        openapi_extra=RECORDING,
    )
    async def reconstruct(
        request: Request,
        size: Size = 224,
        samples: Samples = 0,
        seed: Seed = 0,
        style: Style = "plain",
        strength: Strength = 1.0,
        hair: Hair = "typical",
        start: From = 0.0,
        end: To = None,
        track: Track = None,
        speaker: Speaker = "longest",
    ) -> Response:
        """Draw the face that a recording suggests.

        As JSON with what it rests on; with `Accept: image/png` the picture alone (one speaker's,
        no samples), warnings in a header.
        """
        check_style(style)
        check_hair(hair, seed, model.card.hair_shapes)
        whom, as_picture = parse_speaker(speaker), _wants_picture(request)
        if whom == ALL and as_picture:
            raise UsageError(
                "speaker is all, and image/png holds one face; give longest or a number, or accept "
                "application/json."
            )
        result = await infer(
            request,
            size=size,
            samples=0 if as_picture else samples,
            seed=seed,
            style=style,
            strength=strength,
            hair=hair,
            start=start,
            end=end,
            track=track,
            speaker=whom,
        )
        if as_picture:
            headers = {"Vary": "Accept"}
            if result.fields["warnings"]:
                headers[WARNINGS] = json.dumps(result.fields["warnings"])
            return Response(result.pictures[0], headers=headers, media_type="image/png")
        return _as_json(result.as_json())

    @app.post("/v1/embed", response_model=Embedding, responses=PROBLEMS, openapi_extra=RECORDING)
    async def embed(
        request: Request,
        covariance: Annotated[bool, Query(description="The whole matrix too.")] = False,
        start: From = 0.0,
        end: To = None,
        track: Track = None,
        speaker: Speaker = "longest",
    ) -> Response:
        """The Gaussian over face embeddings that a recording suggests."""
        part = {"start": start, "end": end, "track": track, "speaker": parse_speaker(speaker)}
        result = await infer(request, wanted="embedding", covariance=covariance, **part)
        return _as_json(result.as_json())

    @app.post("/v1/check", response_model=PictureCheck, responses=PROBLEMS, openapi_extra=PICTURE)
    async def check(request: Request) -> Response:
        """Whether a picture is generated, and why: its metadata, credentials and watermark."""
        pool.check_room()
        with budget.open(limits.body) as buffer:
            await receive(request, buffer, limits, "picture")
            result = await pool.submit(CheckTask(), buffer.file)
        return _as_json(result.as_json())

    if limits.protectors:

        @app.post(
            PROTECT,
            response_model=Protected,
            responses={200: PROTECTED_ALONE, **PROBLEMS},
            openapi_extra=RECORDING,
        )
        async def protect(
            request: Request,
            keep: Keep = "both",
            method: Method = None,
            track: Track = None,
            again: Again = False,
        ) -> Response:
            """Disguise everybody who speaks in a recording, and say what remains.

            As JSON with the figures and a page; with `Accept: audio/flac`, `audio/wav` or `video/*`
            the disguised recording alone, warnings in a header. A video's picture is kept as it
            is.
            """
            choose_rule(keep)
            if method is not None:
                load_anonymiser(method)
            wanted = choose_wanted(request.headers.get("accept", ""))
            task = ProtectTask(keep, method, track, again, wanted)
            protectors.start()
            protectors.check_room()
            with budget.open(limits.body) as buffer:
                await receive(request, buffer, limits)
                made = await finish_unless_gone(request, protectors.submit(task, buffer.file))
            headers = {"Vary": "Accept"}
            if wanted != "all" and made.warnings:
                headers[WARNINGS] = json.dumps(made.warnings)
            return Response(made.body, headers=headers, media_type=made.media_type)

    @app.get("/v1/models", response_model=Models)
    async def models() -> Response:
        """The model that is served, and the bounds of what is taken."""
        card = ModelFacts.model_validate(vars(model.card))
        bounds = Bounds(
            bytes=limits.body,
            seconds=limits.listened,
            side=limits.side,
            samples=limits.samples,
            protected_seconds=limits.protected if limits.protectors else 0,
        )
        return _as_json(Models(models=[card], limits=bounds).model_dump())

    @app.get("/healthz", response_model=Health)
    async def healthz() -> Response:
        """The server lives."""
        return _as_json({"status": "ok"})

    @app.get("/readyz", response_model=Health, responses={503: PROBLEMS[503]})
    async def readyz() -> Response:
        """A model is loaded and the queue is not full."""
        if not pool.ready:
            raise BusyError("not ready: no model is loaded yet, or the queue is full.")
        return _as_json({"status": "ready"})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        text = request_metrics.render(pool, protectors, streams.open, budget.held)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get(STREAM, include_in_schema=False)
    async def no_stream(request: Request) -> Response:
        """Why there is no stream, for the page and for those who come without a socket."""
        raise streams.explain(request.headers)

    @app.websocket(STREAM)
    async def stream(
        socket: WebSocket,
        size: Size = 224,
        samples: Samples = 0,
        seed: Seed = 0,
        style: Style = "plain",
        strength: Strength = 1.0,
        hair: Hair = "typical",
    ) -> None:
        check_style(style)
        check_hair(hair, seed, model.card.hair_shapes)
        task = InferenceTask(
            size=size, samples=samples, seed=seed, style=style, strength=strength, hair=hair
        )
        await streams.serve(socket, task)

    # Not mounted at "/": it would answer a route's path with a wrong method by 404.
    app.router.default = _Page(directory=WEB, html=True)
    return app


class _Page(StaticFiles):
    """The files of the page, each by its own path alone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await WebSocketClose()(scope, receive, send)
        if scope["path"] not in FILES:
            raise HTTPException(404)
        if scope["method"] not in ("GET", "HEAD"):  # without Allow by older versions of Starlette
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        await super().__call__(scope, receive, send)


def _wants_picture(request: Request) -> bool:
    accept = request.headers.get("accept", "").lower()
    return "image/png" in accept and "application/json" not in accept


def _as_json(content: Any) -> Response:
    return Response(json.dumps(content), media_type="application/json")
