# jail. `make try` shows the main job; `make test` is everything.
KERNELS ?= 6.1 6.12 6.18 newest
KERNEL  ?= 6.18
DESTDIR ?=
FUZZTIME ?= 30s
export CGO_ENABLED = 0
VM = scripts/vm.sh

all: dist/jail ## build the one static binary

dist/jail: FORCE
	go build -trimpath -ldflags '-w -E jail/launcher/firststage.entry' -o $@ ./cmd/jail

generate: ## compile the BPF programs and their Go bindings (needs clang-19)
	go generate ./bpf

check-generated: generate ## fail when the committed object is not what the source gives
	git diff --exit-code --stat -- bpf/jail_bpfel.go bpf/jail_bpfel.o

test: deps test-unit test-vm ## everything: unit and CLI tests, then the suites in VMs on every kernel

test-unit: ## what needs no privilege and no VM
	scripts/run-tests unit

test-vm: dist/jail dist/attacks ## the enforcing suites, KERNELS="6.1 6.12 6.18 newest"
	scripts/run-tests vm $(KERNELS)

attack: dist/jail dist/attacks ## one row per attack and kernel; fails where a control fails
	scripts/run-tests attack $(KERNELS)

test-initramfs: dist/jail dist/attacks ## real images of mkinitramfs and dracut load jail before the root is switched; as root
	scripts/check-initramfs

try: ## the main job on a real nginx: in a VM, or on this machine with NATIVE=1
	scripts/try $(if $(NATIVE),native,vm) $(KERNEL)

shell: dist/jail ## a shell in a VM with jail loaded
	scripts/try shell $(KERNEL)

bench: dist/jail ## guest instructions per operation
	scripts/bench $(KERNEL)

dist/attacks: FORCE
	@mkdir -p dist
	scripts/build-attacks $@

fuzz: ## each fuzz target for FUZZTIME
	scripts/run-tests fuzz $(FUZZTIME)

lint: ## formatting, vet, staticcheck, shellcheck, clang-format
	scripts/lint

deps: ## install what is missing, and say what
	scripts/deps

vm-kernels: ## fill the cache of kernels and of the root file system
	$(VM) kernels -rootfs $(KERNELS)

install: dist/jail ## install; SETUID=1: set-user-ID root, for the members of the group jail
ifdef SETUID
	@getent group jail >/dev/null || { echo "make install: no group jail: groupadd --system jail" >&2; exit 1; }
	install -D -o root -g jail -m 4750 dist/jail $(DESTDIR)/usr/bin/jail
else
	install -D -m 0755 dist/jail $(DESTDIR)/usr/bin/jail
endif
	install -D -m 0644 scripts/systemd/jail-enroll.socket $(DESTDIR)/usr/lib/systemd/system/jail-enroll.socket
	install -D -m 0644 scripts/systemd/jail-enroll.service $(DESTDIR)/usr/lib/systemd/system/jail-enroll.service
	install -D -m 0644 scripts/systemd/jail-load.service $(DESTDIR)/usr/lib/systemd/system/jail-load.service
	install -D -m 0644 scripts/systemd/jail-journal.service $(DESTDIR)/usr/lib/systemd/system/jail-journal.service
	install -D -m 0644 scripts/systemd/jail.catalog $(DESTDIR)/usr/lib/systemd/catalog/jail.catalog
	install -D -m 0755 scripts/initramfs/jail-load $(DESTDIR)/usr/share/initramfs-tools/scripts/init-bottom/jail
	install -D -m 0755 scripts/initramfs/jail-load $(DESTDIR)/usr/lib/dracut/modules.d/90jail/jail-load.sh
	install -D -m 0755 scripts/initramfs/dracut/module-setup.sh $(DESTDIR)/usr/lib/dracut/modules.d/90jail/module-setup.sh
	install -D -m 0644 cmd/jail/man/jail.1 $(DESTDIR)/usr/share/man/man1/jail.1
	install -D -m 0644 cmd/jail/man/jail.toml.5 $(DESTDIR)/usr/share/man/man5/jail.toml.5
	install -d -m 0755 $(DESTDIR)/etc/jail/roles.d
	install -D -m 0755 scripts/packaging/restore-marks $(DESTDIR)/usr/libexec/jail/restore-marks
	install -D -m 0644 scripts/packaging/dpkg.cfg $(DESTDIR)/etc/dpkg/dpkg.cfg.d/jail
	install -D -m 0644 scripts/packaging/jail-hook.spec $(DESTDIR)/usr/share/jail/jail-hook.spec

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

FORCE:
.PHONY: all generate check-generated test test-unit test-vm test-initramfs attack try shell bench fuzz lint deps vm-kernels install help FORCE
