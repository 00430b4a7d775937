# docker build -t mnistseq . && docker run --rm -v "$PWD:/data" mnistseq batch -n 1000 -o train
FROM python:3.13-slim AS build
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(echo /wheels/*.whl)[hdf5,lmdb,parquet,report]" \
    && useradd --create-home --uid 1000 mnistseq \
    && install --directory --owner mnistseq /cache /data
USER 1000
# Mount a volume at /cache to keep the digits between runs.
ENV MNISTSEQ_DATA_DIR=/cache
VOLUME /cache
WORKDIR /data
ENTRYPOINT ["mnistseq"]
CMD ["--help"]
