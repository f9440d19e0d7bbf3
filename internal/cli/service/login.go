package service

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armsubscriptions"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"berth.dev/berth/internal/cli/session"
	"berth.dev/berth/internal/cloud"
)

// loginTimeout bounds the requests of a login.
const loginTimeout = 30 * time.Second

// login is what the command was given.
type login struct {
	cloud.Cloud
	servicePrincipal bool
}

func newLoginCommand() *cobra.Command {
	var l login
	command := &cobra.Command{
		Use:   "login",
		Short: "Log in to a running service as a service principal",
		Long: `Log in to a running service and store the login for this user. The password is
asked for, or read from standard input; it is never an argument, because anyone
on this host can read a command line.`,
		Example: `  berth login --service-principal --endpoint https://127.0.0.1:7443 --ca-file ca.crt -u CLIENT-ID --tenant TENANT-ID
  berth login --service-principal --endpoint https://berth.example.com --ca-file ca.crt -u CLIENT-ID --tenant TENANT-ID < password-file`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if !l.servicePrincipal {
				return errors.New("only service principals can log in: use --service-principal")
			}
			return l.run(command)
		},
	}
	flags := command.Flags()
	flags.BoolVar(&l.servicePrincipal, "service-principal", false, "log in as a service principal")
	flags.StringVar(&l.ARMEndpoint, "endpoint", "", "base URL of the service")
	flags.StringVar(&l.CAFile, "ca-file", "", "certificate of the service's CA, as PEM")
	flags.StringVarP(&l.ClientID, "username", "u", "", "client id of the service principal")
	flags.StringVarP(&l.TenantID, "tenant", "t", "", "id of the tenant")
	flags.StringVarP(&l.SubscriptionID, "subscription", "s", "", "id of the subscription (default the first that the principal can see)")
	for _, name := range []string{"endpoint", "ca-file", "username", "tenant"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that was not added above
		}
	}
	return command
}

func (l *login) run(command *cobra.Command) error {
	var err error
	if l.ClientSecret, err = readPassword(command); err != nil {
		return err
	}
	if l.CAFile, err = filepath.Abs(l.CAFile); err != nil {
		return fmt.Errorf("finding the CA file: %w", err)
	}
	l.ARMEndpoint = strings.TrimRight(l.ARMEndpoint, "/")
	l.ActiveDirectoryEndpoint = l.ARMEndpoint
	ctx, cancel := context.WithTimeout(command.Context(), loginTimeout)
	defer cancel()
	if err := l.verify(ctx); err != nil {
		return err
	}
	file, err := session.LoginFile()
	if err != nil {
		return fmt.Errorf("finding where to store the login: %w", err)
	}
	if err := l.Save(file); err != nil {
		return err
	}
	_, err = fmt.Fprintf(command.ErrOrStderr(), "logged in to %s, subscription %s (stored in %s)\n", l.ARMEndpoint, l.SubscriptionID, file)
	return err
}

// readPassword asks for the password, or reads it where nobody can be asked.
func readPassword(command *cobra.Command) (string, error) {
	if file, ok := command.InOrStdin().(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(command.ErrOrStderr(), "Password: ")
		password, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(command.ErrOrStderr())
		return string(password), err
	}
	line, err := bufio.NewReader(command.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}

// verify uses the login once, so that a wrong one is not stored, and finds
// subscription and location.
func (l *login) verify(ctx context.Context) error {
	options, credential, err := l.connect()
	if err != nil {
		return err
	}
	client, err := armsubscriptions.NewClient(credential, options)
	if err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	var visible []string
	for pager := client.NewListPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("logging in: %w", err)
		}
		for _, subscription := range page.Value {
			if subscription.SubscriptionID != nil {
				visible = append(visible, *subscription.SubscriptionID)
			}
		}
	}
	if l.SubscriptionID == "" {
		if len(visible) == 0 {
			return errors.New("logging in: the principal sees no subscription; its owner has to give it a role")
		}
		l.SubscriptionID = visible[0]
	}
	for pager := client.NewListLocationsPager(l.SubscriptionID, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("asking for the locations: %w", err)
		}
		for _, location := range page.Value {
			if location.Name != nil && l.Location == "" {
				l.Location = *location.Name
			}
		}
	}
	return nil
}

// connect makes the Azure SDK's credential and options for the service.
func (l *login) connect() (*arm.ClientOptions, azcore.TokenCredential, error) {
	certificates, err := os.ReadFile(l.CAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates) {
		return nil, nil, fmt.Errorf("reading the CA file: %s holds no certificate", l.CAFile)
	}
	common := azcore.ClientOptions{
		Cloud: azcloud.Configuration{
			ActiveDirectoryAuthorityHost: l.ActiveDirectoryEndpoint,
			Services: map[azcloud.ServiceName]azcloud.ServiceConfiguration{
				azcloud.ResourceManager: {Endpoint: l.ARMEndpoint, Audience: l.ARMEndpoint},
			},
		},
		Transport: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}},
	}
	credential, err := azidentity.NewClientSecretCredential(l.TenantID, l.ClientID, l.ClientSecret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: common, DisableInstanceDiscovery: true})
	if err != nil {
		return nil, nil, fmt.Errorf("logging in: %w", err)
	}
	return &arm.ClientOptions{ClientOptions: common, DisableRPRegistration: true}, credential, nil
}
