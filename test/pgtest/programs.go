package pgtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// errMissing says what to install.
var errMissing = errors.New("pgtest: Postgres' programs initdb and postgres were not found: " +
	"apt-get install postgresql, or set TEST_DATABASE_URL to a server that may create databases")

// programs returns the directory of initdb and postgres: the first on PATH,
// else that of the newest version Debian installed.
func programs() (string, error) {
	debian, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(debian, func(a, b string) int { return version(b) - version(a) })
	return pair(append(filepath.SplitList(os.Getenv("PATH")), debian...))
}

// pair returns the first of dirs that holds both programs. One directory,
// because programs of two versions do not fit together.
func pair(dirs []string) (string, error) {
	for _, dir := range dirs {
		if filepath.IsAbs(dir) && executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errMissing
}

// version of /usr/lib/postgresql/VERSION/bin; 0 when it is no number.
func version(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// account returns whom the server runs as: nil for the caller itself, and for
// root, whom Postgres refuses, the account postgres or nobody.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("pgtest: account %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("pgtest: account %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("pgtest: Postgres does not run as root and there is neither an account postgres nor nobody: " +
		"run the tests as an ordinary user")
}

// maxSocketDir keeps DIR/.s.PGSQL.5432 within the 104 bytes that every
// system allows for the path of a unix socket.
const maxSocketDir = 80

// makeDir makes the directory of one server, owned by the account that runs
// it and closed to all others.
func makeDir(owner *syscall.Credential) (string, error) {
	var reasons []error
	for _, base := range []string{os.TempDir(), "/tmp"} {
		if err := usable(base, owner); err != nil {
			reasons = append(reasons, err)
			continue
		}
		dir, err := os.MkdirTemp(base, "pgtest-")
		if err != nil {
			reasons = append(reasons, err)
			continue
		}
		if owner != nil {
			err = os.Chown(dir, int(owner.Uid), int(owner.Gid))
		}
		return dir, err
	}
	return "", fmt.Errorf("pgtest: no directory for the server: %w", errors.Join(reasons...))
}

// usable says why base cannot hold a server's directory: too long for a
// socket, or not to be traversed by another account.
func usable(base string, owner *syscall.Credential) error {
	if len(base)+len("/pgtest-0123456789") > maxSocketDir {
		return fmt.Errorf("%s is too long for a unix socket", base)
	}
	if owner == nil {
		return nil
	}
	base, err := filepath.EvalSymlinks(base)
	if err != nil {
		return err
	}
	for at := base; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if info.Mode()&fs.FileMode(0o001) == 0 {
			return fmt.Errorf("%s cannot be traversed by other accounts", at)
		}
		if strings.TrimRight(at, "/") == "" {
			return nil
		}
	}
}
