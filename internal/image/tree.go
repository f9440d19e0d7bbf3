package image

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Tree lists the files below a directory, for an image that has them at its
// root: regular files, directories and symbolic links, with their permissions.
// Devices, sockets and pipes are no part of an image and are left out.
func Tree(dir string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(source string, entry fs.DirEntry, err error) error {
		if err != nil || source == dir {
			return err
		}
		file, err := treeFile(dir, source, entry)
		if err != nil || file == nil {
			return err
		}
		files = append(files, *file)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the files of %s: %w", dir, err)
	}
	return files, nil
}

// treeFile is one file of a tree, nil for what is left out.
func treeFile(dir, source string, entry fs.DirEntry) (*File, error) {
	path, err := filepath.Rel(dir, source)
	if err != nil {
		return nil, err
	}
	info, err := entry.Info()
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return &File{Path: path, Directory: true, Mode: mode.Perm() | stickyBit(mode)}, nil
	case mode.IsRegular():
		return &File{Path: path, Source: source, Mode: mode.Perm()}, nil
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(source)
		return &File{Path: path, Link: target}, err
	}
	return nil, nil
}

// stickyBit is the bit as a tar archive has it.
func stickyBit(mode fs.FileMode) fs.FileMode {
	if mode&fs.ModeSticky != 0 {
		return 0o1000
	}
	return 0
}
