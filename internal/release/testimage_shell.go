package release

import (
	"errors"
	"path"
	"regexp"

	"berth.dev/berth/internal/image"
)

// shellLibraries are what bash of Debian is linked to, its loader among them.
const shellLibraries = `^(usr/)?lib(64)?/([^/]+/)?(ld-linux[^/]*\.so\.[0-9]+|libc\.so\.6|libtinfo\.so\.6[.0-9]*)$`

// withBash are busybox's tools with bash as their sh. A container's variables
// may have names that are none of a shell's, such as data-1: upstream's busybox
// 1.37 hands them on to what its sh calls and so does bash; busybox 1.35 of
// Debian drops them.
func withBash(tools, root []image.File) ([]image.File, error) {
	var files []image.File
	for _, tool := range tools {
		if tool.Path != "bin/sh" {
			files = append(files, tool)
		}
	}
	files = append(files, image.File{Path: "bin/sh", Link: "bash"})
	libraries := regexp.MustCompile(shellLibraries)
	shell, linked := false, 0
	for _, file := range root {
		switch {
		case file.Path == "usr/bin/bash" || file.Path == "bin/bash" && file.Source != "":
			file.Path, shell = "bin/bash", true
			files = append(files, file)
		case libraries.MatchString(file.Path):
			linked++
			files = append(files, file)
		case path.Dir(file.Path) == "." && file.Link != "" && (file.Path == "lib" || file.Path == "lib64"):
			files = append(files, file)
		}
	}
	if !shell || linked == 0 {
		return nil, errors.New("the root of the tests' images has no bash, or not what it is linked to")
	}
	return files, nil
}
