// Chooses packages with apko, for scripts/conformance.ts to compare: takes an index file and, on its standard input,
// a world a line as a JSON array of strings; answers each with a line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"chainguard.dev/apko/pkg/apk/apk"
	"github.com/chainguard-dev/clog"
)

type answer struct {
	// NAME-VERSION, in the order of installation.
	Packages []string `json:"packages"`
	Error    string   `json:"error,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s APKINDEX.tar.gz", os.Args[0])
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		return err
	}
	index, err := apk.IndexFromArchive(file)
	if err != nil {
		return err
	}
	repository := &apk.Repository{URI: "conformance"}
	indexes := []apk.NamedIndex{apk.NewNamedRepositoryWithIndex("", repository.WithIndex(index))}

	quiet := clog.WithLogger(context.Background(), clog.New(slog.DiscardHandler))
	worlds := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for worlds.Scan() {
		var world []string
		if err := json.Unmarshal(worlds.Bytes(), &world); err != nil {
			return err
		}
		if err := answers.Encode(choose(quiet, indexes, world)); err != nil {
			return err
		}
	}
	return worlds.Err()
}

func choose(ctx context.Context, indexes []apk.NamedIndex, world []string) answer {
	// A resolver notes what it picked: each world has its own.
	resolver := apk.NewPkgResolver(ctx, indexes)
	chosen, _, err := resolver.GetPackagesWithDependencies(ctx, world, nil)
	if err != nil {
		return answer{Packages: []string{}, Error: err.Error()}
	}
	packages := make([]string, len(chosen))
	for i, each := range chosen {
		packages[i] = each.Name + "-" + each.Version
	}
	return answer{Packages: packages}
}
