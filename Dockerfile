# Two stages: one that builds, and one that holds what was installed. What runs with every request
# becomes machine code: see server/plait/native.py. The first image has a compiler, the second has none.
FROM python:3.11 AS build
WORKDIR /build
RUN python -m venv /opt/plait
RUN python -m venv /opt/tools
COPY requirements-build.lock requirements-native.lock requirements.lock ./
RUN /opt/plait/bin/python -m pip install --no-cache-dir --require-hashes --no-deps -r requirements-build.lock
RUN /opt/plait/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --no-build-isolation -r requirements.lock
RUN /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes --no-deps -r requirements-build.lock
RUN /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --no-build-isolation -r requirements-native.lock
COPY pyproject.toml setup.py README.md LICENSE ./
COPY server server
RUN PLAIT_MYPYC=1 /opt/tools/bin/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels .
RUN /opt/plait/bin/python -m pip install --no-cache-dir --no-deps --no-index wheels/*.whl

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 plait && mkdir -p /var/lib/plait /graph && chown plait /var/lib/plait
COPY --from=build /opt/plait /opt/plait
USER plait
# The graph: a folder of yours, mounted or copied here.
WORKDIR /graph
ENV PATH=/opt/plait/bin:$PATH PYTHONUNBUFFERED=1 PLAIT_HOST=0.0.0.0 PLAIT_PORT=8000 PLAIT_LEDGER_PATH=/var/lib/plait/ledger.sqlite3
# The ledger of writes must outlive the container.
VOLUME /var/lib/plait
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PLAIT_PORT']}/health/live\", timeout=2)"]
# Which graph: PLAIT_GRAPH=module:name, or [tool.plait] in the folder's pyproject.toml.
CMD ["plait", "serve"]
