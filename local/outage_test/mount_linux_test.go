package outage_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

const mountsEnv = "ANGELOWL_TEST_MOUNTS"

// inOwnMounts runs the tests again in a process with mounts of its own, which go with it however it
// ends; whoever is not root is root in there, as far as mounting goes. Where the machine allows
// neither, it says that nothing ran.
func inOwnMounts() (code int, ran bool) {
	if os.Getenv(mountsEnv) != "" {
		// What is mounted from here on is nobody else's.
		if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			fmt.Fprintln(os.Stderr, "keeping mounts private:", err)
			return 1, true
		}
		return 0, false
	}
	self, err := os.Executable()
	if err != nil {
		return 0, false
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), mountsEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	runtime.LockOSThread() // its end would be the child's
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return 0, false
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return cmd.ProcessState.ExitCode(), true
}

// disks are those that are in memory at the same time.
var disks = make(chan struct{}, 2)

// smallDisk is a file system of its own in memory.
func smallDisk(t *testing.T, mebibytes int) string {
	t.Helper()
	dir := t.TempDir()
	disks <- struct{}{}
	t.Cleanup(func() { <-disks })
	if os.Getenv(mountsEnv) == "" {
		t.Skip("SKIPPED: this machine does not let a test have mounts of its own, so there is no small disk to fill")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=700", mebibytes)); err != nil {
		t.Skipf("SKIPPED: this machine does not let a test mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func freeBytes(t *testing.T, dir string) int64 {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// fill fills a disk to the last page, with a file that is nobody's.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// In pieces: what does not fit as a whole is taken back as a whole.
	for piece := int64(16 << 20); piece >= 4<<10; {
		switch err := syscall.Fallocate(int(f.Fd()), 0, size(t, f), piece); {
		case errors.Is(err, syscall.ENOSPC):
			piece /= 2
		case err != nil && !errors.Is(err, syscall.EINTR):
			t.Fatal(err)
		}
	}
	if n := freeBytes(t, dir); n > 1<<20 {
		t.Fatalf("%d KiB are free", n>>10)
	}
	t.Logf("the disk is full: %d KiB are free, the ballast has %d MiB", freeBytes(t, dir)>>10, size(t, f)>>20)
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func size(t *testing.T, f *os.File) int64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
