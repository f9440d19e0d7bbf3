package command

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
)

// zipped packs files as a caller's tool does; a name ending in / is a directory.
func zipped(t *testing.T, files map[string]string, change ...func(*zip.FileHeader)) []byte {
	t.Helper()
	var packed bytes.Buffer
	out := zip.NewWriter(&packed)
	for name, content := range files {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate}
		for _, f := range change {
			f(header)
		}
		file, err := out.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(file, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// unpacked are the files of a gzipped tar with their modes.
func unpacked(t *testing.T, packed []byte) map[string]string {
	t.Helper()
	compressed, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for in := tar.NewReader(compressed); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		found[header.Name] = fmt.Sprintf("%o %s", header.Mode, content)
	}
}

func TestAttachedFilesKeepTheirNamesContentAndModes(t *testing.T) {
	packed, err := Repack(zipped(t, map[string]string{"run.sh": "echo hi", "dir/": "", "dir/a.yaml": "kind: List", `win\b.txt`: "b"},
		func(h *zip.FileHeader) {
			if strings.HasSuffix(h.Name, ".sh") {
				h.SetMode(0o755)
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	got := unpacked(t, packed)
	for name, want := range map[string]string{"run.sh": "755 echo hi", "dir/": "755 ", "dir/a.yaml": "666 kind: List", "win/b.txt": "666 b"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if len(got) != 4 {
		t.Errorf("got %v", got)
	}
}

func TestAttachedFilesThatCouldDoHarmAreRefused(t *testing.T) {
	many := map[string]string{}
	for i := range MaxFiles + 1 {
		many[fmt.Sprint(i)] = ""
	}
	noise := make([]byte, MaxArchive)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	link := func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }
	lies := zipped(t, map[string]string{"bomb": strings.Repeat("0", 3*MaxUnpacked)})
	for name, c := range map[string]struct {
		zip []byte
		why string
	}{
		"no zip file":                    {[]byte("hello"), "no zip file"},
		"an empty one":                   {nil, "no zip file"},
		"a path that leads out":          {zipped(t, map[string]string{"../x": "x"}), "relative path"},
		"one that leads out on the way":  {zipped(t, map[string]string{"a/../../x": "x"}), "relative path"},
		"one that leads out by \\":       {zipped(t, map[string]string{`..\x`: "x"}), "relative path"},
		"an absolute path":               {zipped(t, map[string]string{"/etc/passwd": "x"}), "relative path"},
		"a link":                         {zipped(t, map[string]string{"x": "/etc"}, link), "neither a file nor a directory"},
		"too many":                       {zipped(t, many), "at most 1000"},
		"more than comes in":             {zipped(t, map[string]string{"x": string(noise)}), "at most"},
		"little that becomes very much":  {lies, "when unpacked"},
		"much in many files":             {zipped(t, map[string]string{"a": strings.Repeat("0", MaxUnpacked/2+1), "b": strings.Repeat("1", MaxUnpacked/2+1)}), "when unpacked"},
		"a name that is the directory":   {zipped(t, map[string]string{".": "x"}), "no name"},
		"a name with a NUL character":    {zipped(t, map[string]string{"a\x00b": "x"}), "relative path"},
		"a name that is much too long":   {zipped(t, map[string]string{strings.Repeat("x", maxName+1): "x"}), "relative path"},
		"a file that is not what it was": {bytes.Replace(zipped(t, map[string]string{"x": "hello"}), []byte("PK\x01\x02"), []byte("PK\x01\x03"), 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			packed, err := Repack(c.zip)
			if !errors.Is(err, ErrAttachment) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("got %d bytes, %v", len(packed), err)
			}
		})
	}
}

func TestOutputIsCutAndSaysSo(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"text":                {"hello\n", "hello\n"},
		"bytes that are none": {"a\xffb", "a\uFFFDb"},
		"nothing":             {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			packed, err := PackOutput([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := UnpackOutput(packed); err != nil || got != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	packed, err := PackOutput(bytes.Repeat([]byte("x"), MaxOutput+1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := UnpackOutput(packed)
	if err != nil || !strings.HasPrefix(got, strings.Repeat("x", MaxOutput)+"\n[the output was cut here") {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if _, err := UnpackOutput([]byte("no gzip")); err == nil {
		t.Error("output that cannot be read is read")
	}
}

func FuzzAttachedFilesNeverLeadOut(f *testing.F) {
	f.Add([]byte("PK"), "a/b")
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		if packed, err := Repack(raw); err == nil {
			unpacked(t, packed)
		}
		packed, err := Repack(zipped(t, map[string]string{name: "x"}))
		if err != nil {
			return
		}
		for got := range unpacked(t, packed) {
			if !fs.ValidPath(strings.TrimSuffix(got, "/")) && got != "./" {
				t.Errorf("%q became %q", name, got)
			}
		}
	})
}
