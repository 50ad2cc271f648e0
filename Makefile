# roomd: make run starts a room on embedded defaults; make test passes every test. Both install what they need.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
DATA ?= $(CURDIR)/.run

.PHONY: build run test check browser pictures bench bars bars-lights faults soak fuzz ui dist dist-test setup clean

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/roomd ./cmd/roomd

run:
	@rig/setup run
	@$(MAKE) --no-print-directory build
	@bin/roomd serve --data $(DATA) --link

setup:
	@rig/setup test

# What listens to real sound, or plays sessions in real time, runs when no other tests keep the processors busy. Sessions mostly
# wait, so they run side by side.
SESSIONS := ^Test(Scripts|Session|NetworkGoes)$$
# The race detector makes arithmetic ten times as long: what computes sound and has no goroutines runs without it.
ARITHMETIC := ^Test(Guard|APairHas|Analysis|Silence|Curve|MeterAgrees|Gates|TruePeak|Tech33|Weighting|Quiet)

test: setup check
	ROOMD_LONG=1 go test -race -shuffle=on -parallel 4 -skip '$(ARITHMETIC)' $$(go list ./... | grep -v -e cmd/roomd -e player/output -e player/beds)
	ROOMD_LONG=1 go test -shuffle=on ./player ./player/loudness ./player/beds
	ROOMD_LONG=1 go test -race -shuffle=on ./player/output
	go test -race -c -o bin/roomd.test ./cmd/roomd
	cd cmd/roomd && ROOMD_LONG=1 ../../bin/roomd.test -test.shuffle=on -test.timeout 30m -test.parallel 8 -test.run '$(SESSIONS)'
	cd cmd/roomd && ROOMD_LONG=1 ../../bin/roomd.test -test.shuffle=on -test.timeout 30m -test.parallel 4 -test.skip '$(SESSIONS)' -kills 50
	$(MAKE) browser

check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change: $$out"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

browser: build
	cd web/ui && npm ci --silent && npm run --silent check && npm test --silent && npm run --silent build
	git diff --exit-code --stat web/ui/dist
	cd web/e2e && npm ci --silent && npm test --silent

# The pictures in docs, as the browser tests see this version.
pictures: browser
	cd web/e2e/shots && cp before-amber-1180x820.png ../../../docs/before.png && cp journey-amber-1180x820.png ../../../docs/session.png && \
		cp music-amber-1180x820.png ../../../docs/desk.png

bench:
	@rig/setup bench
	go test -run '^$$' -bench . -benchmem ./...

# What takes too long for every change.
bars: setup
	ROOMD_LONG=1 go test ./cmd/roomd -run Corpus -corpus 30 -v -timeout 30m
	go test ./cmd/roomd -run Kill -kills 200 -v -timeout 30m
	ROOMD_BARS=1 go test ./cmd/roomd -run LargeLibrary -tracks 10000 -v -timeout 120m
	ROOMD_EDITS=100000 go test ./playlists -run EditProperty -v -timeout 60m
	go test ./cmd/roomd -run 'ErasedSession|RoomsOnOneBroker' -raw 1h -two-rooms 10m -v -timeout 90m
	go test ./player/decode -run Mutated -decode.mutations=2000 -v -timeout 60m

# The faults of docs/lights.md at their full length: an hour, a line for each figure.
bars-lights: setup
	ROOMD_BARS=1 go test ./room/lights -run 'Faults|ThreeHours|NoisyReports' -v -timeout 90m
	ROOMD_BARS=1 go test ./cmd/roomd -run 'TestLights|TestBroker|TestFlooded' -v -timeout 60m

# Random scripts of commands and faults, a minute each, SCRIPTS of them from SEED on; a script that fails tells its seed.
SCRIPTS ?= 50
SEED ?= 1
ROOMS ?= 6
faults: setup
	ROOMD_LONG=1 go test ./cmd/roomd -run TestScripts -scripts $(SCRIPTS) -script.seed $(SEED) -script.workers $(ROOMS) -parallel $(ROOMS) -timeout 0

# Sessions of ten minutes on a sound card, one after the other: nothing grows.
HOURS ?= 1
soak: setup
	ROOMD_BARS=1 go test ./cmd/roomd -run TestSoak -soak $(HOURS)h -v -timeout 0

# Debian packages for amd64, arm64 and armhf, into bin/dist.
dist:
	@rig/dist

# The package in a Debian of its own under systemd: installed, paired, a session, upgraded in the middle of it, purged. As root.
dist-test:
	@rig/dist-test

# Each fuzz target for FUZZTIME, one after the other. What it finds is kept under testdata/fuzz and run by every test.
FUZZTIME ?= 30s
fuzz: setup
	@rig/fuzz $(FUZZTIME)

ui:
	cd web/ui && npm ci --silent && npm run --silent build

clean:
	rm -rf bin .run
