package web

import "time"

// Client is an app as people see it.
type Client struct {
	Name string // what it calls itself; never trusted
	Logo string // data: URL or path below the issuer of a prefetched logo; empty: none
	// Host is the host of its client_id when that is a URL, in ASCII
	// (punycode), empty otherwise; URI its own page, empty if it names none.
	Host string
	URI  string
	// Verified says that the host has vouched for the name (a client ID
	// metadata document) or an operator registered it.
	Verified bool
	// RedirectHost is where the answer goes, in ASCII; Loopback that this is
	// a port of the person's own device, where any program may listen.
	RedirectHost string
	Loopback     bool
	PolicyURI    string
	TOSURI       string
}

// Form is what every form of a page needs.
type Form struct {
	Action string // path of the POST, below the issuer: "/login"
	// Interaction is the handle of the authorization request the form is part
	// of, sent as the hidden input "interaction"; empty for none.
	Interaction string
}

// Problem is what went wrong with what the person just sent.
type Problem struct {
	Text string // one sentence, empty: nothing
	Wait int    // seconds until it makes sense to try again; 0: at once
}

// SignIn is the sign-in page. Inputs: username, password.
type SignIn struct {
	Form
	Client    *Client // whom it is for; nil: the person's own account
	Username  string  // filled in
	Passwords bool    // local accounts may sign in here
	Passkey   *PasskeyRequest
	Upstreams []Upstream
	Problem   Problem
	// Reauthenticate says that the person is signed in as Username and is
	// asked once more.
	Reauthenticate bool
}

// Upstream is another place to sign in at. The button is a submit with the
// name "upstream" and the value ID.
type Upstream struct{ ID, Name string }

// PasskeyRequest is a WebAuthn ceremony, run by the page's script: the form
// posts the JSON result in the hidden input "credential" to Action.
type PasskeyRequest struct {
	Action  string
	Options string // JSON of PublicKeyCredential{Request,Creation}Options
}

// SecondFactor asks for the second step. Input: code.
type SecondFactor struct {
	Form
	Client   *Client
	Username string
	Recovery bool // ask for a recovery code instead
	// Other is the path of the same page with the other kind of code.
	Other   string
	Problem Problem
}

// Permission is one scope on a consent or account page.
type Permission struct {
	Scope       string // value of the checkbox "scope"
	Description string
	Sensitive   bool   // set apart, never ticked beforehand
	Required    bool   // fixed; Reason says why
	Reason      string // for Required
	Granted     bool   // ticked
	New         bool   // not granted to this client before
}

// Consent asks the person to decide. Buttons: decision=allow, decision=deny;
// checkboxes: scope.
type Consent struct {
	Form
	Client      Client
	Username    string
	Resource    string // name or host of what the client wants to reach
	ResourceURI string
	Permissions []Permission
	// Additional says that the client has some permissions already.
	Additional bool
	// Changed says that the client is not what it was when it was last
	// allowed (other redirect URIs or keys).
	Changed bool
	// Offline says that it stays connected until disconnected.
	Offline bool
	// Device is set for a request from a device (RFC 8628): its user code.
	UserCode string
	// SwitchAccount is the path to sign in as someone else.
	SwitchAccount string
	AccountURL    string // where to undo it
	Problem       Problem
}

// Failure is the page for what cannot go on. It never links to where an
// unproven redirect URI points.
type Failure struct {
	Title     string
	Text      string // what happened and whether anything was lost
	Advice    string // the one thing to do
	LinkText  string // optional way on
	LinkURL   string
	Reference string // ties it to the log
}

// Notice is a page that says one thing went well.
type Notice struct {
	Title    string
	Text     string
	LinkText string
	LinkURL  string
}

// Device asks for the user code of a device. Input: user_code.
type Device struct {
	Form
	UserCode string // prefilled, as typed or from the link
	Problem  Problem
}

// SignOut asks whether to sign out. Button: decision=sign_out.
type SignOut struct {
	Form
	Username string
	Back     string // path to stay signed in; empty: none is offered
}

// App is a connected installation of a client.
type App struct {
	Grant       string // id; input "grant" of its forms
	Client      Client
	Device      string
	Resource    string
	ConnectedAt time.Time
	LastUsedAt  time.Time
	Permissions []Permission
}

// Browser is a session on the account page.
type Browser struct {
	Session   string // input "session" of its form
	Name      string // "Firefox on Linux"
	Address   string
	CreatedAt time.Time
	LastSeen  time.Time
	Current   bool
}

// Passkey is one of the person's passkeys.
type Passkey struct {
	ID         string // input "passkey" of its form
	Name       string
	CreatedAt  time.Time
	LastUsedAt time.Time
}

// Account is the page of what a person has. Section picks the part shown:
// apps (default), sessions, security.
type Account struct {
	Section  string
	Username string
	Name     string
	Now      time.Time
	// Actions are the paths that the forms post to.
	Actions AccountActions

	Apps         []App
	Disconnected *App // just now; offers Undo
	Browsers     []Browser

	Passkeys      []Passkey
	AddPasskey    *PasskeyRequest // nil: sign in again first
	HasPassword   bool
	SecondFactor  bool
	RecoveryCodes int // left
	// Confirm is the path of the page to sign in again at, when a change of
	// security needs it; empty when the sign-in is fresh.
	Confirm string
	Done    string // what has just been done, one sentence
	Problem Problem
}

// AccountActions are paths of POST forms.
type AccountActions struct {
	Apps, Sessions, Security string // the sections, GET
	Disconnect               string // inputs: grant
	Restore                  string // inputs: grant
	Narrow                   string // inputs: grant, scope…
	EndSession               string // inputs: session; session=others: all but this
	AddPasskey               string // inputs: credential, name
	RemovePasskey            string // inputs: passkey
	SetPassword              string // inputs: current_password, password, password_again
	BeginSecondFactor        string // no inputs
	RemoveSecondFactor       string // no inputs
	RecoveryCodes            string // no inputs: makes new ones
	SignOut                  string
}

// EnrollSecondFactor shows the secret of a new second factor. Inputs: secret
// (hidden, sealed), code.
type EnrollSecondFactor struct {
	Form
	Username string
	QR       string // data: URL of a PNG
	Key      string // the same to type, in groups
	Sealed   string // value of the hidden input "secret"
	Back     string
	Problem  Problem
}

// RecoveryCodes shows new recovery codes, once.
type RecoveryCodes struct {
	Codes []string
	Back  string
}

// Link is a named address.
type Link struct {
	Name string
	URL  string
}

// Home is the page at the issuer's own address, for somebody who opened it in
// a browser.
type Home struct {
	Host      string   // the issuer's host, as people know the server
	Resources []string // what it guards
	Documents []Link   // what a developer wants to see
}

// Brand is how the deployer's pages look.
type Brand struct {
	Name   string // of the product; "Gatehouse" when empty
	Logo   []byte // SVG or PNG, at most 24 KiB; nil: the mark
	Accent string // #rrggbb; empty: the stylesheet's
}
