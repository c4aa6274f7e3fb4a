package etcd

import (
	"fmt"
	"os"
	"syscall"
)

// reserve gives the pages of a file that were never written their place on the disk: bbolt makes its
// file longer in steps of 16 MiB, without writing to them, so that on a disk that has become full any
// commit could find no room. It returns the file's size.
func reserve(path string) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("reserving room for etcd: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		err = syscall.Fallocate(int(f.Fd()), 0, 0, info.Size())
	}
	if err != nil {
		return 0, fmt.Errorf("reserving room for etcd: %w", err)
	}
	return info.Size(), nil
}
