// Reads turns as JSON and writes what a Go template, named by the first argument, makes of them.
package main

import (
	"encoding/json"
	"os"
	"text/template"
)

type turn struct{ Role, Content string }

func main() {
	source, err := os.ReadFile(os.Args[1])
	check(err)
	var turns []turn
	check(json.NewDecoder(os.Stdin).Decode(&turns))
	made, err := template.New("").Option("missingkey=zero").Parse(string(source))
	check(err)
	check(made.Execute(os.Stdout, map[string]any{"Messages": turns}))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
