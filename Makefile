# AngelOwl. `make` says what there is.
SHELL := /bin/bash
STEP := .ci/step
MODULES := $(shell go work edit -json 2>/dev/null | sed -n 's/.*"DiskPath": "\.\/\(.*\)".*/\1/p')
PACKAGES := $(addsuffix /...,$(addprefix ./,$(MODULES)))
STATICCHECK := bin/staticcheck
# NODE says whether there is a Node.js that is new enough.
NODE := node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a === 20 && b >= 19 || a === 22 && b >= 12 || a > 22 ? 0 : 1)' 2>/dev/null
# Listening addresses and the data of `make up`; say LISTEN=… DATA=… for others.
LISTEN ?= 127.0.0.1:8080
DATA ?= ./.angelowl

.PHONY: help up build portal check test test-portal test-long test-needs test-engines engines bin/engines fuzz bench clean needs needs-race lint format vet staticcheck tidy lint-api unit race e2e

help: ## this page
	@echo 'make TARGET, where TARGET is'
	@sed -n 's/^\([a-z-]*\):.*## /  \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

up: build ## start everything on this machine with the example: the portal at http://127.0.0.1:3000, the API at :8080
	@if $(NODE); then $(MAKE) -s bin/portal; fi
	@bin/angelowl up --data '$(DATA)' --listen '$(LISTEN)' --home CAD --timezone America/Toronto \
		--sample-users --rules examples/rules.json --fx examples/quotes.csv examples/spend.csv

build: needs ## build bin/angelowl
	@if [ ! -x bin/angelowl ]; then echo 'Building. The first build compiles the embedded engines too and takes some minutes.'; fi
	@.ci/build

portal: bin/portal ## build the web portal of ui/, which needs Node.js 20.19 or newer

# Next.js takes a minute, so it is built again only when something of it has changed.
bin/portal: $(shell find ui -type f -not -path '*/node_modules/*' -not -path '*/.next/*' -not -path '*/test-results/*' -not -name '*.tsbuildinfo' -not -name next-env.d.ts -not -name 'schema.d.ts' -not -name decimals.json) .infra/api/openapi.yaml
	@$(NODE) || { echo 'The portal needs Node.js 20.19, 22.12 or newer: https://nodejs.org'; exit 1; }
	@$(STEP) 'build the portal' sh -c 'cd ui && npm ci --silent && npm run --silent build'
	@mkdir -p bin && touch bin/portal

check: needs lint ## what needs Go alone: format, vet, linters, module files, unit tests
	@$(STEP) 'unit tests' $(MAKE) -s unit
	@$(STEP) 'the embedded system, short, without real engines' env ANGELOWL_ENGINES=none go test -short ./local/...

test: test-needs lint ## everything that CI runs: check, the race detector, the system end to end on real engines
	@$(STEP) 'unit tests' $(MAKE) -s unit
	@bin/engines run -- $(MAKE) -s test-engines
	@$(MAKE) -s test-portal

test-portal: build bin/portal ## the portal: its linters, and its pages in Chromium on the system
	@$(STEP) 'Chromium is installed' .ci/debian CHROMIUM chromium chromium
	@$(STEP) "the portal's types and linter" sh -c 'cd ui && npm run --silent lint'
	@$(STEP) 'the portal in a browser' sh -c 'cd ui && npm test --silent'

test-engines:
	@$(STEP) 'race detector' $(MAKE) -s race
	@$(STEP) 'the system end to end' $(MAKE) -s e2e

lint: needs $(STATICCHECK)
	@$(STEP) 'format' $(MAKE) -s format
	@$(STEP) 'go vet' $(MAKE) -s vet
	@$(STEP) 'staticcheck' $(MAKE) -s staticcheck
	@$(STEP) 'module files are tidy' $(MAKE) -s tidy
	@$(MAKE) -s lint-api

test-long: test-needs ## the long forms of the tests, the program under the race detector and all fuzz targets, an hour or so
	@$(STEP) 'Kubernetes is built' env ANGELOWL_LONG=1 go test -count=1 -timeout 60m -run '^TestInstalled$$' ./local/chart_test
	@$(STEP) 'long tests' bin/engines run -- env ANGELOWL_LONG=1 go test -count=1 -timeout 120m $(PACKAGES)
	@$(STEP) 'race detector in the program' env ANGELOWL_RACE=1 bin/engines run -- go test -count=1 -timeout 60m ./local/spine_test ./local/ops_test ./local/poison_test
	@$(STEP) 'fuzz' $(MAKE) -s fuzz FUZZTIME=1m

engines: bin/engines ## install the real engines that the tests run on; docs/engines.md
	@bin/engines install

bench: needs ## the benchmarks of loyalty; docs/benchmarks has the others, each with its command
	go test -run '^$$' -bench . -benchmem ./loyalty/...

clean: ## remove what was built; the data of `make up` stay
	rm -rf bin

needs:
	@command -v go >/dev/null || { echo 'Go is missing. Install Go 1.26 or newer: https://go.dev/dl/'; exit 1; }
	@v=$$(go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/'); [ "$$v" -ge 26 ] || { echo "This needs Go 1.26 or newer; here is $$(go env GOVERSION)."; exit 1; }

needs-race:
	@command -v "$$(go env CC | cut -d' ' -f1)" >/dev/null || { echo 'The race detector needs a C compiler: install gcc or clang. `make check` does without.'; exit 1; }

test-needs: needs needs-race bin/engines
	@$(STEP) 'real engines are installed' bin/engines install
	@$(STEP) 'curl is installed' .ci/debian CURL curl curl
	@$(STEP) 'tools of the tests are installed' go test -count=1 -run '^TestInstalled$$' ./local/chart_test ./local/images_test ./local/moto ./local/promtool ./local/rie ./local/schemathesis_test ./local/workflows_test

bin/engines: needs
	@go build -o bin/engines ./local/cmd/engines

$(STATICCHECK): .ci/tools/go.mod .ci/tools/go.sum
	@$(STEP) 'build staticcheck' env GOWORK=off go build -C .ci/tools -o ../../bin/ honnef.co/go/tools/cmd/staticcheck

format:
	@files=$$(gofmt -l $(MODULES)); [ -z "$$files" ] || { echo "gofmt would change: $$files"; exit 1; }
vet:
	@go vet $(PACKAGES)
staticcheck:
	@$(STATICCHECK) $(PACKAGES)
# The linter of the gateway's file runs on Node. Its rules that Go can check, local/gateway's tests check, too.
OPENAPI := .infra/api/openapi.yaml $(addprefix .ci/openapi/,package.json package-lock.json redocly.yaml)
lint-api: ## lint the gateway's file, .infra/api/openapi.yaml
	@if $(NODE); \
		then $(MAKE) -s bin/lint-api; \
		else echo "The gateway's file is not linted, for that needs Node.js 20.19, 22.12 or newer; local/gateway's tests read it all the same."; fi
bin/lint-api: $(OPENAPI)
	@$(STEP) "the gateway's file" sh -c 'cd .ci/openapi && npm ci --silent && npm run --silent lint'
	@mkdir -p bin && touch bin/lint-api

tidy:
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy -diff) || { echo "$$m/go.mod is not tidy"; exit 1; }; done
unit:
	@go test $(filter-out ./local/...,$(PACKAGES))
# What runs programs as processes of their own is left to e2e: the detector would not see into them. So is
# schemathesis, whose own time is most of the test's.
race:
	@go test -race -short $$(go list $(PACKAGES) | grep -v -e '/local/chart_test$$' -e '/local/emailer_test$$' -e '/local/images_test$$' -e '/local/lambda_test$$' -e '/local/ops_test$$' -e '/local/petrock_test$$' -e '/local/poison_test$$' -e '/local/rie$$' -e '/local/schemathesis_test$$' -e '/local/spine_test$$' -e '/local/workflows_test$$')
e2e:
	@go test -count=1 -timeout 20m ./local/...
FUZZTIME ?= 10s
fuzz: ## every fuzz target for FUZZTIME each
	@set -e; for m in $(MODULES); do for p in $$(go list -f '{{if .TestGoFiles}}{{.ImportPath}}{{else if .XTestGoFiles}}{{.ImportPath}}{{end}}' ./$$m/...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; done; done; done
