package release

import (
	"testing"

	"berth.dev/berth/internal/image"
)

func TestTheShellOfTheTestsImagesIsBashWithWhatItIsLinkedTo(t *testing.T) {
	tools := []image.File{{Path: "bin/busybox", Source: "/busybox"}, {Path: "bin/env", Link: "busybox"}, {Path: "bin/sh", Link: "busybox"}}
	root := []image.File{
		{Path: "bin", Link: "usr/bin"}, {Path: "lib", Link: "usr/lib"}, {Path: "lib64", Link: "usr/lib64"},
		{Path: "usr/bin/bash", Source: "/bash"}, {Path: "usr/bin/curl", Source: "/curl"},
		{Path: "usr/lib64/ld-linux-x86-64.so.2", Link: "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"},
		{Path: "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", Source: "/ld"},
		{Path: "usr/lib/x86_64-linux-gnu/libc.so.6", Source: "/libc"},
		{Path: "usr/lib/x86_64-linux-gnu/libtinfo.so.6", Link: "libtinfo.so.6.4"},
		{Path: "usr/lib/x86_64-linux-gnu/libtinfo.so.6.4", Source: "/libtinfo"},
		{Path: "usr/lib/x86_64-linux-gnu/libcurl.so.4", Source: "/libcurl"},
	}
	files, err := withBash(tools, root)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]image.File{}
	for _, file := range files {
		if _, twice := got[file.Path]; twice {
			t.Errorf("%s is there twice", file.Path)
		}
		got[file.Path] = file
	}
	if got["bin/sh"].Link != "bash" || got["bin/bash"].Source != "/bash" || got["bin/env"].Link != "busybox" {
		t.Errorf("the shell, and a tool, are %+v", files)
	}
	for _, path := range []string{
		"lib", "lib64", "usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libtinfo.so.6", "usr/lib/x86_64-linux-gnu/libtinfo.so.6.4",
	} {
		if _, there := got[path]; !there {
			t.Errorf("bash would miss %s", path)
		}
	}
	if len(got) != len(tools)+1+7 {
		t.Errorf("more of Debian than bash is linked to is there: %+v", files)
	}
	if _, err := withBash(tools, root[:3]); err == nil {
		t.Error("a root without bash is no error")
	}
}
