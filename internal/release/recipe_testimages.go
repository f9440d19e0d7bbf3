package release

import (
	"context"
	"path/filepath"
	"runtime"

	"berth.dev/berth/internal/image"
)

// testImages packs the images that upstream's tests run, under upstream's names
// and tags, from the same sources on Debian's packages instead of Alpine's.
type testImages struct {
	// Revision goes up when the recipes below pack something else.
	Revision int
}

// testImagesArchive holds them all, so that what they share is there once.
const testImagesArchive = "images.tar"

// testImage is one of them.
type testImage struct {
	reference string
	recipe    func(*testImageFiles) image.Spec
}

// testImageFiles is what the images are made of.
type testImageFiles struct {
	job job
	// root are the files of a small Debian with the tools that the tests call.
	root []image.File
	// tools are busybox and its names.
	tools []image.File
}

func (t testImages) sources() []string         { return nil }
func (t testImages) usesGo() bool              { return false }
func (t testImages) packages() []debianPackage { return nil }

func (t testImages) build(ctx context.Context, job job) error {
	images, err := listImages(ctx, job)
	if err != nil {
		return err
	}
	files := &testImageFiles{job: job}
	if files.root, err = image.Tree(filepath.Join(job.inputs[partSuiteRoot], rootDir)); err != nil {
		return err
	}
	if files.tools, err = busyboxTools(ctx, job.run, filepath.Join(job.inputs[partBusybox], binDir, "busybox")); err != nil {
		return err
	}
	job.report.detail("packing the images of the tests")
	var specs []image.Spec
	for _, one := range images {
		spec := one.recipe(files)
		spec.Reference, spec.Architecture = one.reference, runtime.GOARCH
		spec.Environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		specs = append(specs, spec)
	}
	return image.WriteArchive(filepath.Join(job.output, testImagesArchive), specs...)
}

// testImageRecipes are the images that can be built, by name.
func testImageRecipes() map[string]func(*testImageFiles) image.Spec {
	return map[string]func(*testImageFiles) image.Spec{
		"agnhost":                (*testImageFiles).agnhost,
		"busybox":                (*testImageFiles).busybox,
		"distroless-iptables":    (*testImageFiles).conntrack,
		"etcd":                   (*testImageFiles).etcd,
		"jessie-dnsutils":        (*testImageFiles).dnsutils,
		"glibc-dns-testing":      (*testImageFiles).dnsutils,
		"kitten":                 func(f *testImageFiles) image.Spec { return f.picture("kitten") },
		"nautilus":               func(f *testImageFiles) image.Spec { return f.picture("nautilus") },
		"nginx":                  (*testImageFiles).nginx,
		"nonewprivs":             (*testImageFiles).nonewprivs,
		"nonroot":                (*testImageFiles).nonroot,
		"pause":                  (*testImageFiles).pause,
		"regression-issue-74839": (*testImageFiles).regression,
		"sample-apiserver":       (*testImageFiles).sampleAPIServer,
	}
}

func (f *testImageFiles) program(part, name, path string) image.File {
	return image.File{Path: path, Source: filepath.Join(f.job.inputs[part], binDir, name), Mode: 0o755}
}

func (f *testImageFiles) suiteFile(source, path string) image.File {
	return image.File{Path: path, Source: filepath.Join(f.job.inputs[partSuite], filesDir, source), Mode: 0o644}
}

// agnhost has a DNS server beside it.
func (f *testImageFiles) agnhost() image.Spec {
	spec := f.agnhostAlone()
	spec.Files = append(spec.Files, f.program(partCoreDNS, "coredns", "coredns"))
	return spec
}

// agnhostAlone has the user and the group that upstream's image defines for the
// tests of security contexts.
func (f *testImageFiles) agnhostAlone() image.Spec {
	passwd := "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" +
		"user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n"
	group := "root:x:0:\nnogroup:x:65534:\nuser-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n"
	return image.Spec{
		Base: f.root, Entrypoint: []string{"/agnhost"}, Command: []string{"pause"},
		Ports: []string{"80/tcp", "8080/tcp", "8081/tcp", "9376/tcp", "5000/tcp"},
		Files: []image.File{
			f.program(partSuite, "agnhost", "agnhost"),
			{Path: "agnhost-2", Link: "agnhost"},
			// The wget of upstream's image, Alpine's, tries once.
			{Path: "etc/wgetrc", Content: "tries = 1\n", Mode: 0o644},
			f.suiteFile("test/images/agnhost/porter/localhost.crt", "localhost.crt"),
			f.suiteFile("test/images/agnhost/porter/localhost.key", "localhost.key"),
			{Path: "uploads", Directory: true, Mode: 0o755},
			{Path: "etc/passwd", Content: passwd, Mode: 0o644},
			{Path: "etc/group", Content: group, Mode: 0o644},
		},
	}
}

// picture is one of the two images of the rolling update test: agnhost that serves
// a picture. Another test reads of what system it is, and wants to find upstream's.
func (f *testImageFiles) picture(name string) image.Spec {
	spec := f.agnhostAlone()
	spec.Command = []string{"test-webserver"}
	spec.Files = append(spec.Files, image.File{
		Path: "etc/os-release", Mode: 0o644,
		Content: "NAME=\"Debian GNU/Linux\"\nID=debian\n# It stands for an image on Alpine Linux.\n",
	})
	for _, file := range []string{name + ".jpg", "data.json"} {
		spec.Files = append(spec.Files, f.suiteFile("test/images/"+name+"/html/"+file, file))
	}
	return spec
}

func (f *testImageFiles) busybox() image.Spec {
	return image.Spec{
		Command: []string{"sh"},
		Files: append([]image.File{
			{Path: "etc/passwd", Content: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n", Mode: 0o644},
			{Path: "etc/group", Content: "root:x:0:\nnobody:x:65534:\n", Mode: 0o644},
			{Path: "root", Directory: true, Mode: 0o700},
			{Path: "home", Directory: true, Mode: 0o755},
			{Path: "tmp", Directory: true, Mode: 0o1777},
		}, f.tools...),
	}
}

func (f *testImageFiles) etcd() image.Spec {
	return image.Spec{Files: []image.File{
		f.program(partEtcd, "etcd", "usr/local/bin/etcd"),
		{Path: "tmp", Directory: true, Mode: 0o1777},
	}}
}

func (f *testImageFiles) dnsutils() image.Spec {
	return image.Spec{Base: f.root, Command: []string{"bash"}, Files: []image.File{{Path: "uploads", Directory: true, Mode: 0o755}}}
}

// conntrack is what looks at a node's table of tracked connections.
func (f *testImageFiles) conntrack() image.Spec {
	return image.Spec{Base: f.root, Command: []string{"bash"}}
}

// nginx serves the directory that upstream's image does.
func (f *testImageFiles) nginx() image.Spec {
	const config = `error_log /dev/stderr notice;
pid /var/run/nginx.pid;
worker_processes 1;
events { worker_connections 256; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  server {
    listen 80;
    listen [::]:80;
    location / { root /usr/share/nginx/html; index index.html; }
  }
}
`
	const page = "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n"
	return image.Spec{
		Base: f.root, Entrypoint: []string{"nginx"}, Command: []string{"-g", "daemon off;"}, Ports: []string{"80/tcp"},
		Files: []image.File{
			{Path: "etc/nginx/nginx.conf", Content: config, Mode: 0o644},
			{Path: "usr/share/nginx/html/index.html", Content: page, Mode: 0o644},
		},
	}
}

// nonewprivs prints its effective uid; the setuid bit shows whether it may gain one.
func (f *testImageFiles) nonewprivs() image.Spec {
	program := f.program(partSuite, "nonewprivs", "usr/local/bin/nnp")
	program.Mode = 0o6755
	return image.Spec{Command: []string{"nnp"}, Files: append([]image.File{program}, f.tools...)}
}

func (f *testImageFiles) nonroot() image.Spec {
	spec := f.busybox()
	spec.User = "1234"
	return spec
}

func (f *testImageFiles) pause() image.Spec {
	return image.Spec{Entrypoint: []string{"/pause"}, User: "65535:65535", Files: []image.File{f.program(partPause, "pause", "pause")}}
}

// regression answers a connection with a packet that its table of tracked
// connections calls invalid.
func (f *testImageFiles) regression() image.Spec {
	return image.Spec{
		Entrypoint: []string{"/regression-issue-74839"},
		Files:      []image.File{f.program(partSuitePrograms, "regression-issue-74839", "regression-issue-74839")},
	}
}

func (f *testImageFiles) sampleAPIServer() image.Spec {
	return image.Spec{
		Entrypoint: []string{"/sample-apiserver"},
		Files: []image.File{
			f.program(partSample, "sample-apiserver", "sample-apiserver"),
			{Path: "tmp", Directory: true, Mode: 0o1777},
		},
	}
}
