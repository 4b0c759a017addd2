package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// patience bounds one exchange: a server that hangs is an error, not a figure.
const patience = 30 * time.Second

var errHeader = errors.New("load: the answer is not one of HTTP/1.1")

// connection is one keep-alive connection. It is for one goroutine.
type connection struct {
	net.Conn
	in   *bufio.Reader
	body []byte // of the last answer
}

func dial(ctx context.Context, address string) (*connection, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, in: bufio.NewReaderSize(c, 8<<10)}, nil
}

// exchange sends a whole request and reads the answer, which must be a 200
// whose body contains want.
func (c *connection) exchange(request, want []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	status, err := c.read()
	if err != nil {
		return err
	}
	if status != 200 || !bytes.Contains(c.body, want) {
		return fmt.Errorf("load: answered %d where 200 with %q was due: %.300q", status, want, c.body)
	}
	return nil
}

// read reads an answer with its body.
func (c *connection) read() (status int, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 14 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, errHeader
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, errHeader
	}
	length, err := c.header()
	if err != nil {
		return 0, err
	}
	c.body = c.body[:0]
	if length >= 0 {
		return status, c.take(length)
	}
	return status, c.chunks()
}

// header reads the header and returns the length of the body, -1 when it comes
// in chunks.
func (c *connection) header() (length int, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) { // as net/http writes them
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, errHeader
			}
		case "Transfer-Encoding":
			length = -1
		}
	}
}

// chunks reads a body in chunks (RFC 9112 §7.1) without trailers.
func (c *connection) chunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(bytes.TrimRight(line, "\r\n")), 16, 24)
		if err != nil {
			return errHeader
		}
		if err := c.take(int(size)); err != nil {
			return err
		}
		if _, err := c.in.Discard(len("\r\n")); err != nil || size == 0 {
			return err
		}
	}
}

// take appends n bytes to the body.
func (c *connection) take(n int) error {
	at := len(c.body)
	if cap(c.body) < at+n {
		c.body = append(make([]byte, 0, 2*(at+n)), c.body...)
	}
	c.body = c.body[:at+n]
	_, err := io.ReadFull(c.in, c.body[at:])
	return err
}
