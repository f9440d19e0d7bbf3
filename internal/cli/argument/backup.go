package argument

import "github.com/spf13/cobra"

// BackupName adds --name, -n for commands on backups.
func BackupName(command *cobra.Command, name *string) {
	command.Flags().VarP((*nameValue)(name), "name", "n", "name of the backup")
	require(command, "name")
	must(command.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions))
}

// File adds --file, -f.
func File(command *cobra.Command, file *string, usage string) {
	command.Flags().StringVarP(file, "file", "f", "", usage)
	require(command, "file")
}
