package argument

import "github.com/spf13/cobra"

// ScheduleName adds --name, -n for commands on schedules.
func ScheduleName(command *cobra.Command, name *string) {
	command.Flags().VarP((*nameValue)(name), "name", "n", "name of the schedule")
	require(command, "name")
	must(command.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions))
}
