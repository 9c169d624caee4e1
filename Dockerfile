ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
# pip reads both from the environment. It ignores an empty value and uses the default index.
ARG PIP_INDEX_URL=
ARG PIP_TRUSTED_HOST=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# The shipped environment has no pip, so it is smaller and cannot be changed.
RUN python -m venv --without-pip /opt/venv
WORKDIR /src
COPY requirements/build.txt requirements/image.txt requirements/
RUN pip install -r requirements/build.txt \
 && pip --python /opt/venv/bin/python install -r requirements/image.txt
COPY pyproject.toml setup.cfg LICENSE ./
COPY docs/package.md docs/package.md
COPY migrations migrations
COPY project_manager project_manager
RUN pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
 && pip --python /opt/venv/bin/python install --no-deps --no-index /wheels/*.whl

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Project Manager" \
      org.opencontainers.image.description="Task queue for AI agents: REST, WebSocket, MCP and a dashboard" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0 AND BSD-2-Clause" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Versions of the distribution are not pinned: they follow the base image and its security updates.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl sqlite3 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 1000 appuser \
 && useradd --uid 1000 --gid appuser --no-create-home --home-dir /app --shell /usr/sbin/nologin appuser \
 && mkdir -p /app/data /app/backups /app/examples \
 && chown appuser:appuser /app/data /app/backups \
 && chmod 700 /app/data /app/backups
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY pyproject.toml ./
COPY migrations migrations
COPY examples examples
COPY deploy/docker-healthcheck.py docker-healthcheck.py
# Return the memory of large responses to the system as soon as they are sent.
ENV MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    MALLOC_TRIM_THRESHOLD_=131072
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    DEFAULT_DATABASE_PATH=/app/data/tasks.db
USER 1000:1000
VOLUME ["/app/data"]
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=3s --timeout=6s --start-period=60s --retries=3 \
  CMD ["python", "-IS", "/app/docker-healthcheck.py"]
CMD ["project-manager", "serve", "--no-browser"]
