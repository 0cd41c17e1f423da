FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/plait && /opt/plait/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY server/plait server/plait
RUN /opt/plait/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 plait
COPY --from=build /opt/plait /opt/plait
USER plait
WORKDIR /home/plait
ENV PATH=/opt/plait/bin:$PATH PLAIT_HOST=0.0.0.0 PLAIT_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PLAIT_PORT']}/health/live\", timeout=2)"]
CMD ["plait", "serve"]
