# speech2face serve, on CPU, as nobody in particular, on a file system that may be read-only:
#   docker build -t speech2face .
#   docker run --rm --read-only --cap-drop ALL -p 127.0.0.1:8000:8000 speech2face

FROM python:3.11-slim AS build
RUN python -m venv /opt/speech2face
WORKDIR /build
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN /opt/speech2face/bin/pip install --no-cache-dir -c constraints.txt '.[serve]'

FROM python:3.11-slim
COPY --from=build /opt/speech2face /opt/speech2face
ENV PATH=/opt/speech2face/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["speech2face", "serve", "--host", "0.0.0.0", "--port", "8000"]
