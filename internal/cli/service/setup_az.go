package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/cli/session"
	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
)

// systemRoots is Debian's bundle of the authorities that the host trusts.
const systemRoots = "/etc/ssl/certs/ca-certificates.crt"

func newCloudSetupAzCommand() *cobra.Command {
	var o app.Options
	var name string
	command := &cobra.Command{
		Use:   "setup-az",
		Short: "Register the service with the installed az, and log az in to it",
		Long: `Register the service as a cloud of the az that is installed, make it the active
one and log in as the principal of this login. It changes az's configuration in
AZURE_CONFIG_DIR (default ~/.azure) and can be run again at any time.

az takes a CA from the environment alone. The command writes a bundle of the
host's authorities and the service's beside az's configuration, and prints the
line that makes az use it. The secret goes to az through its standard input.`,
		Example: `  berth cloud setup-az
  eval "$(berth cloud setup-az)" && az aks list -o table`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			login, err := loginFor(command, o.Home)
			if err != nil {
				return err
			}
			return setupAz(command, login, name)
		},
	}
	addHome(command, &o)
	command.Flags().StringVarP(&name, "name", "n", "berth", "name of the cloud in az")
	return command
}

// loginFor is the login of the install that was named, else what every
// customer's command would use.
func loginFor(command *cobra.Command, dir string) (cloud.Cloud, error) {
	if dir != "" {
		return cloud.Load(home.Home{Dir: dir}.CloudFile())
	}
	return session.New(session.Streams{In: command.InOrStdin(), Out: command.OutOrStdout(), Err: command.ErrOrStderr()}).Cloud()
}

// setupAz brings az to the service. Each step can be repeated, so that a run
// that was interrupted is mended by the next.
func setupAz(command *cobra.Command, login cloud.Cloud, name string) error {
	az, err := newAz(login.CAFile)
	if err != nil {
		return err
	}
	ctx := command.Context()
	listed, err := az.run(ctx, "", "cloud", "list", "--query", "[].name", "--output", "tsv")
	if err != nil {
		return err
	}
	verb := "register"
	if slices.Contains(strings.Fields(listed), name) {
		verb = "update"
	}
	config, err := azCloudConfig(login)
	if err != nil {
		return err
	}
	steps := []struct {
		stdin     string
		arguments []string
	}{
		{"", []string{"cloud", verb, "--name", name, "--cloud-config", config}},
		{"", []string{"cloud", "set", "--name", name}},
		{login.ClientSecret, []string{"login", "--service-principal", "--username", login.ClientID, "--password", "@-", "--tenant", login.TenantID, "--output", "none"}},
		{"", []string{"account", "set", "--subscription", login.SubscriptionID}},
	}
	for _, step := range steps {
		if _, err := az.run(ctx, step.stdin, step.arguments...); err != nil {
			return err
		}
	}
	fmt.Fprintf(command.ErrOrStderr(), "az is logged in to the cloud %s at %s; in each shell that uses it:\n", name, login.ARMEndpoint)
	_, err = fmt.Fprintf(command.OutOrStdout(), "export REQUESTS_CA_BUNDLE=%s\n", shellQuoted(az.bundle))
	return err
}

// azCloudConfig is the service as az describes a cloud. The authority ends in
// /adfs: else az would ask the public cloud whether it exists.
func azCloudConfig(login cloud.Cloud) (string, error) {
	arm := login.ARMEndpoint
	content, err := json.Marshal(map[string]any{"endpoints": map[string]string{
		"management": arm, "resourceManager": arm,
		"activeDirectory": login.ActiveDirectoryEndpoint + "/adfs", "activeDirectoryResourceId": arm + "/",
		"activeDirectoryGraphResourceId": arm + "/graph", "microsoftGraphResourceId": arm + "/graph",
	}})
	return string(content), err
}

// az is the command line of Azure that is installed.
type az struct {
	program string
	// bundle is the file of the authorities that az shall trust.
	bundle string
}

// newAz finds az and writes its bundle.
func newAz(caFile string) (az, error) {
	program, err := exec.LookPath("az")
	if err != nil {
		return az{}, errors.New("az is not installed: on Debian, apt-get install azure-cli installs it")
	}
	dir := os.Getenv("AZURE_CONFIG_DIR")
	if dir == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return az{}, fmt.Errorf("finding the configuration of az: %w", err)
		}
		dir = filepath.Join(user, ".azure")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return az{}, fmt.Errorf("finding the configuration of az: %w", err)
	}
	bundle := filepath.Join(dir, "berth-ca-bundle.pem")
	return az{program: program, bundle: bundle}, writeBundle(bundle, caFile)
}

// writeBundle writes the authorities of the host and of the service to a file,
// so that az goes on reaching other clouds with it.
func writeBundle(bundle, caFile string) error {
	own, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("reading the service's CA certificate: %w", err)
	}
	roots, err := os.ReadFile(systemRoots)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the host's authorities: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(bundle), 0o700); err != nil {
		return fmt.Errorf("writing the bundle of authorities: %w", err)
	}
	temporary := bundle + ".new"
	if err := os.WriteFile(temporary, append(append(roots, '\n'), own...), 0o600); err != nil {
		return fmt.Errorf("writing the bundle of authorities: %w", err)
	}
	return os.Rename(temporary, bundle)
}

// run runs az to its end. What goes to its standard input is no argument,
// because anyone on this host can read a command line.
func (a az) run(ctx context.Context, stdin string, arguments ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, a.program, arguments...)
	command.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+a.bundle)
	command.Stdin = strings.NewReader(stdin)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("running az %s %s: %w: %s", arguments[0], arguments[1], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// shellQuoted is a word as a shell reads it back.
func shellQuoted(word string) string {
	if strings.IndexFunc(word, func(c rune) bool {
		return !strings.ContainsRune("/._-", c) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
