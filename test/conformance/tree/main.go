// Installs a world with apko, for scripts/conformance-tree.ts to compare: takes a repository's directory, a directory of
// public keys and the world's names, and writes a line of JSON for each path, then one with the database's text.
package main

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"chainguard.dev/apko/pkg/apk/apk"
	apkfs "chainguard.dev/apko/pkg/apk/fs"
	"github.com/chainguard-dev/clog"
)

const database = "usr/lib/apk/db/installed"

type node struct {
	Path    string `json:"path,omitempty"`
	Type    string `json:"type,omitempty"`
	Mode    string `json:"mode,omitempty"`
	Size    int    `json:"size"`
	Content string `json:"content,omitempty"`
	Target  string `json:"target,omitempty"`
	// Of lib/apk/db/installed, and of nothing else.
	Installed string `json:"installed,omitempty"`
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintf(os.Stderr, "usage: %s REPOSITORY KEYS NAME...\n", os.Args[0])
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(repository, keys string, world []string) error {
	ctx := clog.WithLogger(context.Background(), clog.New(slog.DiscardHandler))
	root := apkfs.NewMemFS()
	installer, err := apk.New(ctx, apk.WithFS(root), apk.WithArch("x86_64"))
	if err != nil {
		return err
	}
	if err := installer.InitDB(ctx); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(keys, "*.pub"))
	if err != nil {
		return err
	}
	if err := installer.InitKeyring(ctx, names, nil); err != nil {
		return err
	}
	if err := installer.SetRepositories(ctx, []string{repository}); err != nil {
		return err
	}
	if err := installer.SetWorld(ctx, world); err != nil {
		return err
	}
	if _, err := installer.FixateWorld(ctx, nil); err != nil {
		return err
	}
	lines := json.NewEncoder(os.Stdout)
	if err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		found, err := describe(root, path, entry)
		if err != nil {
			return err
		}
		return lines.Encode(found)
	}); err != nil {
		return err
	}
	text, err := root.ReadFile(database)
	if err != nil {
		return err
	}
	return lines.Encode(node{Installed: string(text)})
}

func describe(root apkfs.FullFS, path string, entry fs.DirEntry) (node, error) {
	info, err := entry.Info()
	if err != nil {
		return node{}, err
	}
	found := node{Path: path, Mode: fmt.Sprintf("%o", info.Mode().Perm())}
	switch {
	case entry.IsDir():
		found.Type = "directory"
	case info.Mode()&fs.ModeSymlink != 0:
		found.Type = "symlink"
		found.Target, err = root.Readlink(path)
	case info.Mode().IsRegular():
		found.Type = "file"
		content, failed := root.ReadFile(path)
		sum := sha1.Sum(content)
		found.Content, found.Size, err = base64.StdEncoding.EncodeToString(sum[:]), len(content), failed
	default:
		found.Type = "other"
	}
	return found, err
}
