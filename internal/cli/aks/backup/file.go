package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/progress"
	"berth.dev/berth/internal/cli/session"
)

func newDownload(s *session.Session) *cobra.Command {
	var t target
	var path string
	command := &cobra.Command{
		Use:   "download",
		Short: "Download a backup's file, encrypted as it is",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup download --resource-group demo --name before-change --file before-change.backup
  berth aks backup download -g demo -n nightly-1 -f /srv/backups/nightly-1.backup`,
		RunE: func(command *cobra.Command, _ []string) error { return download(command.Context(), s, t, path) },
	}
	t.bind(s, command)
	argument.File(command, &path, "file to write; it must not be there")
	return command
}

func download(ctx context.Context, s *session.Session, t target, path string) (err error) {
	c, err := open(s)
	if err != nil {
		return err
	}
	request, err := c.request(ctx, http.MethodPost, c.path(t.group, t.name, "download"))
	if err != nil {
		return err
	}
	runtime.SkipBodyDownload(request)
	response, err := c.do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("downloading the backup: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(path) // half of a backup is none
		}
	}()
	count := newCounter(s, "Downloading backup "+t.name, response.ContentLength)
	if _, err := io.Copy(file, io.TeeReader(response.Body, count)); err != nil {
		count.line.Done("Failed")
		return fmt.Errorf("downloading the backup: %w", err)
	}
	count.line.Done("Succeeded")
	return file.Sync()
}

func newUpload(s *session.Session) *cobra.Command {
	var t target
	var path string
	command := &cobra.Command{
		Use:   "upload",
		Short: "Upload a backup that was downloaded, and check it",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup upload --resource-group demo --name returned --file before-change.backup
  berth aks backup upload -g demo -n nightly-1 -f /srv/backups/nightly-1.backup`,
		RunE: func(command *cobra.Command, _ []string) error { return upload(command.Context(), s, t, path) },
	}
	t.bind(s, command)
	argument.File(command, &path, "file to send")
	return command
}

func upload(ctx context.Context, s *session.Session, t target, path string) error {
	c, err := open(s)
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("uploading the backup: %w", err)
	}
	defer file.Close()
	request, err := c.request(ctx, http.MethodPost, c.path(t.group, t.name, "upload"))
	if err != nil {
		return err
	}
	if err := request.SetBody(file, "application/octet-stream"); err != nil {
		return err
	}
	if _, err := c.do(request); err != nil {
		return err
	}
	made, err := c.await(ctx, s, t, "Checking backup "+t.name)
	if err != nil {
		return err
	}
	return s.PrintResource(made, columns())
}

// counter shows how much of something has come.
type counter struct {
	line        *progress.Line
	seen, total int64
}

func newCounter(s *session.Session, what string, total int64) *counter {
	var out io.Writer = s.Err
	if s.Quiet() {
		out = io.Discard
	}
	return &counter{line: progress.New(out, s.Width, s.Clock, what), total: total}
}

// Write implements io.Writer.
func (c *counter) Write(data []byte) (int, error) {
	c.seen += int64(len(data))
	c.line.Report("", fmt.Sprintf("%d of %d MB", c.seen>>20, c.total>>20))
	return len(data), nil
}
