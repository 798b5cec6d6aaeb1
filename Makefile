# Avalo Realtime. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CONFIG ?= .avalo/config
# Swift's library is in the program; nobody looks for functions in it from outside.
RELEASE := swift build -c release --product avalo --static-swift-stdlib -Xlinker --no-export-dynamic
DEBUG := swift build --build-tests && scripts/link-programs .build/debug
# Programs to package. Given, nothing is built: make package BINARIES=folder
BINARIES ?=
PACKAGES := .build/package
CLIENT_TOOLS := nodejs esbuild node-typescript node-react node-react-dom node-react-test-renderer

.PHONY: help deps deps-test build run demo test test-all deps-clients clients test-clients screenshot soak conformance contract examples client-docs
.PHONY: lint format bench chaos upgrade-test package package-test
.PHONY: systemd-test monitoring-test proxy-test pages install clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

deps: ## install what building and running needs
	@scripts/install-packages libsystemd-dev libsqlite3-dev

deps-test: deps ## install what the tests need besides
	@scripts/install-packages --optional prometheus prometheus-alertmanager systemd openssl python3-venv $(CLIENT_TOOLS)
	@scripts/contract prepare && scripts/conformance prepare || \
	  { echo "PyPI did not give what some tests need: without it they are skipped, in CI they fail" >&2; [ -z "$${CI:-}" ]; }

deps-clients: ## install what building the clients for the web and testing them needs
	@scripts/install-packages $(CLIENT_TOOLS)

build: deps ## build the release
	$(RELEASE)
	@scripts/link-programs .build/release

run: build ## start everything here, on loopback, and say how to use it
	@scripts/install-packages --optional esbuild
	@scripts/run "$(CONFIG)"

demo: build ## start, connect two users, publish, show the delivery, stop
	.build/release/avaloctl sandbox -- avaloctl demo

test: deps-test ## build, and run every test that ends within minutes; what needs root or a tool is skipped by name
	@scripts/test-clients unit
	$(DEBUG)
	@scripts/run-tests

test-all: test test-clients chaos conformance contract demo upgrade-test pages systemd-test monitoring-test proxy-test package-test ## all tests, and what takes long

chaos: deps-test ## kill each worker a hundred times under load
	$(DEBUG)
	AVALO_CHAOS_KILLS=100 scripts/run-tests --filter ChaosTests

clients: deps-clients ## build the client for the web, in clients/web/dist
	node clients/web/build.mjs

client-docs: ## the documentation of the Swift client, in .build/client-docs
	swift build --target AvaloClient
	@scripts/client-docs

test-clients: deps-clients ## the client for the web: on a made-up clock, against a real server, and in Chromium
	@scripts/install-packages chromium
	$(DEBUG)
	scripts/test-clients unit integration browser demo console

screenshot: deps-clients ## the pictures of the demo in the README and of the console in docs/console.md
	@scripts/install-packages chromium
	$(DEBUG)
	AVALO_SCREENSHOT=$(CURDIR)/docs/images/demo.png scripts/test-clients demo
	AVALO_SCREENSHOT=$(CURDIR)/docs/images/console.png scripts/test-clients console

soak: deps-clients ## ten minutes of clients that are cut off at random, while gateways are killed
	$(DEBUG)
	scripts/test-clients soak

upgrade-test: build ## replace every worker's program under load: 10 000 clients, 1 000 events/s
	@scripts/upgrade-test .build/release --clients 10000 --rate 1000

conformance: deps-test ## the WebSocket codec against Autobahn's test cases (fetched from PyPI)
	$(DEBUG)
	scripts/conformance run .build/debug/avalo-echo

contract: deps-test ## docs/protocol/openapi.yaml against a running server, by schemathesis (fetched from PyPI), for minutes
	$(DEBUG)
	AVALO_WORKERS__GATEWAY__SETTINGS__LIMITS__CALLS_PER_SECOND=1000000 .build/debug/avaloctl sandbox -- scripts/contract long

examples: ## record docs/protocol/examples.md from a running server anew
	$(DEBUG)
	.build/debug/avaloctl sandbox -- scripts/record-examples

lint: ## the code's form
	swift format lint --strict --recursive Package.swift Sources Tests

format: ## put the code in form
	swift format --in-place --recursive Package.swift Sources Tests

bench: build ## a short standard set of measurements, into docs/benchmarks.md
	.build/release/avaloctl sandbox -- avalo-bench all --pin --markdown docs/benchmarks.md

systemd-test: deps-test ## start, hang, kill, reload and stop the service under a real systemd; needs root
	$(DEBUG)
	scripts/systemd-test .build/debug

monitoring-test: deps-test ## an alert's way through a real Prometheus and Alertmanager to a webhook, and back
	$(DEBUG)
	scripts/monitoring-test .build/debug

proxy-test: ## clients through nginx and HAProxy with the configurations in docs/proxies
	@scripts/install-packages nginx-light haproxy openssl python3
	$(DEBUG)
	scripts/proxy-test .build/debug

pages: ## the man pages and the shells' completions, in .build/pages
	@scripts/install-packages mandoc python3
	$(DEBUG)
	scripts/man-pages .build/debug .build/pages
	mandoc -T lint -W warning .build/pages/man/*

install: build ## copy what was built: DESTDIR=, PREFIX=/usr/local
	@scripts/install "$(or $(BINARIES),.build/release)" "$(DESTDIR)" "$(or $(PREFIX),/usr/local)"

package: $(if $(BINARIES),,build) ## the Debian package, in .build/package
	@scripts/package "$(or $(BINARIES),.build/release)" $(PACKAGES)

package-test: package ## install, upgrade, remove and purge the package under a real systemd; needs root
	@scripts/package-test $(PACKAGES)/avalo_*.deb

clean: ## remove what was built and what `make run` keeps
	rm -rf .build .avalo clients/web/dist clients/web/.build
