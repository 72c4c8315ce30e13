# The image of sqlmigrate. Build it with `docker build -t sqlmigrate .`, then run
#   docker run --rm --read-only -v "$PWD/migrations:/migrations:ro" -e DATABASE_URL sqlmigrate migrate
# or copy the migrations into your own image: FROM sqlmigrate, COPY migrations /migrations.
# The build does not need BuildKit.

ARG PYTHON_IMAGE=python:3.13-slim-bookworm
# pg_dump must be at least as new as the newest server to back up, and built for the Debian release of PYTHON_IMAGE.
ARG CLIENT_IMAGE=postgres:18-bookworm


# Debian's client package would add Perl and 70 MB: copy only two programs and their libraries.
FROM ${CLIENT_IMAGE} AS client
RUN set -eu; mkdir -p /client/lib; \
    for program in /usr/lib/postgresql/*/bin/pg_dump /usr/lib/postgresql/*/bin/pg_restore; do \
        install -D "$program" "/client$program"; \
        ldd "$program"; \
    done | awk '$3 ~ "^/" {print $3}' | sort -u | xargs cp -L -t /client/lib


FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils >/dev/null \
    && python -m venv --without-pip /opt/sqlmigrate
COPY requirements-image.lock requirements-build.lock ./
RUN pip --python /opt/sqlmigrate install -q --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements-image.lock \
    && pip install -q --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes \
        -r requirements-build.lock
COPY . .
RUN pip --python /opt/sqlmigrate install -q --no-cache-dir --disable-pip-version-check --no-deps \
        "$(pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist . && ls "$PWD"/dist/*.whl)"
# 10 MB of the parser's 14 MB are debug symbols. sqlmigrate uses one of Pygments' 500 languages.
RUN set -eu; cd /opt/sqlmigrate/lib/python3.*/site-packages; strip --strip-unneeded postgast/*.so; \
    rm -r pygments/lexers/__pycache__
COPY --from=client /client /client
# Remove the libraries that the base image already contains.
RUN set -eu; ldconfig -p >known; \
    for library in /client/lib/*; do if grep -q "/$(basename "$library")\$" known; then rm "$library"; fi; done


FROM ${PYTHON_IMAGE}
COPY --from=build /client/usr/lib/postgresql /usr/lib/postgresql
COPY --from=build /client/lib /usr/local/lib/postgresql
COPY --from=build /opt/sqlmigrate /opt/sqlmigrate
# Run pg_dump once, so that a client of another Debian release fails the build and not a backup.
RUN set -eu; echo /usr/local/lib/postgresql >/etc/ld.so.conf.d/postgresql.conf; ldconfig; \
    ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/; pg_dump --version; \
    useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sqlmigrate
ENV PATH=/opt/sqlmigrate/bin:$PATH PYTHONDONTWRITEBYTECODE=1 SQLMIGRATE_DIR=/migrations
WORKDIR /migrations
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["sqlmigrate", "check"]
ENTRYPOINT ["sqlmigrate"]
CMD ["--help"]
