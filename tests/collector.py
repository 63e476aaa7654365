"""A collector of spans and metrics on loopback, in a thread of its own, which keeps what comes over OTLP."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


@dataclass
class Collector:
    """What has come. `answers` is the HTTP status that everything is answered with."""

    url: str = ""
    answers: int = 200
    traces: list[ResourceSpans] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    requests: int = 0

    @property
    def spans(self) -> list[Span]:
        return [span for traced in self.traces for scope in traced.scope_spans for span in scope.spans]

    async def take_traces(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.answers == 200:
            self.traces += ExportTraceServiceRequest.FromString(await request.read()).resource_spans
        return web.Response(status=self.answers)

    async def take_metrics(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.answers == 200:
            message = ExportMetricsServiceRequest.FromString(await request.read())
            scopes = [scope for resource in message.resource_metrics for scope in resource.scope_metrics]
            self.metrics += [metric for scope in scopes for metric in scope.metrics]
        return web.Response(status=self.answers)


@contextmanager
def collecting(answers: int = 200) -> Iterator[Collector]:
    collector = Collector(answers=answers)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_post("/v1/traces", collector.take_traces)
        app.router.add_post("/v1/metrics", collector.take_metrics)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="collector")
    thread.start()
    try:
        assert ready.wait(10)
        yield collector
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
