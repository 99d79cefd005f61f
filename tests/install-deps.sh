#!/bin/sh
# Installs what the tests need, from Debian: a PostgreSQL server, which the tests of the store start themselves;
# a Redis server, through which nodes share counters in tests;
# libfaketime, under which the clocks of the tests of faults jump; chromium with its driver and a font, for the tests
# of the Console; bubblewrap and the engines on which tests/ground executes attacks, among them the frameworks of its
# servers, also from PyPI and npm into target/ground/servers. From PyPI, into target/mail-tests:
# aiosmtpd, the mail server of the tests of alerts; into target/api-tests: schemathesis, which checks the API of the
# control plane against its description. From npm, into target/browser-tests: axe-core, which checks the pages of the
# Console.
set -eu
apt-get update -q
# Node.js of other packagers brings its own npm, which Debian's conflicts with.
npm=npm
if command -v npm >/dev/null; then npm=; fi
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
  postgresql redis-server faketime chromium chromium-driver fonts-dejavu-core \
  $npm bubblewrap busybox sqlmap nginx-light mariadb-server-core mariadb-client-core ruby php-cli php-twig smarty4 \
  php-xml golang-go default-jdk-headless libtomcat10-java \
  libjetty9-java libgoogle-gson-java libjackson2-databind-java libcommons-fileupload-java libcgi-pm-perl libplack-perl libmojolicious-perl ruby-sinatra puma \
  python3 python3-venv python3-jinja2 python3-mako python3-lxml python3-yaml python3-psycopg2 python3-pymysql
cd "$(dirname "$0")/.."
python3 -m venv target/mail-tests
target/mail-tests/bin/pip install --quiet --require-hashes --only-binary=:all: -r tests/requirements.txt
python3 -m venv target/api-tests
target/api-tests/bin/pip install --quiet --require-hashes --only-binary=:all: -r tests/api/requirements.txt
mkdir -p target/browser-tests
cp tests/browser/npm/package.json tests/browser/npm/package-lock.json target/browser-tests/
npm ci --prefix target/browser-tests --ignore-scripts --no-audit --no-fund
servers=target/ground/servers
mkdir -p $servers/node $servers/go $servers/java
/usr/bin/python3 -m venv --system-site-packages $servers/python
$servers/python/bin/pip install --quiet --require-hashes --only-binary=:all: -r tests/ground/servers/python/requirements.txt
cp tests/ground/servers/node/package.json tests/ground/servers/node/package-lock.json $servers/node/
npm ci --prefix $servers/node --ignore-scripts --no-audit --no-fund
GO111MODULE=off CGO_ENABLED=0 go build -o $servers/go/app tests/ground/servers/go/app.go
jars=/usr/share/java
javac -nowarn -d $servers/java -cp "$(echo $jars/tomcat10-*.jar $jars/jetty9-*.jar | tr ' ' ':'):$jars/servlet-api.jar:$jars/gson.jar:\
$jars/jackson-core.jar:$jars/jackson-databind.jar:$jars/jackson-annotations.jar:$jars/commons-fileupload.jar" tests/ground/servers/java/*.java
