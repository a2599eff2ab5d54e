# docker build -t icectl . && docker run --rm -v "$PWD:/data" icectl predict front-unet --scenes /data/images
# For the CPU build of torch, give pip the index of that build: --build-arg PIP_EXTRA_INDEX_URL=…
FROM python:3.12-slim
ARG PIP_EXTRA_INDEX_URL=
WORKDIR /opt/icectl
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md CITATION.cff ./
COPY icectl icectl
COPY plugins plugins
COPY configs configs
COPY completions completions
RUN PIP_EXTRA_INDEX_URL="$PIP_EXTRA_INDEX_URL" python -m pip install --no-cache-dir -c constraints.txt .
WORKDIR /data
ENTRYPOINT ["icectl"]
