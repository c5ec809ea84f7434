package chat

// maxNesting bounds how deep blocks and expressions of a source may nest, and maxChain
// how many operators may follow one another on one level (a + b + c …): both become
// depth of recursion.
const (
	maxNesting = 100
	maxChain   = 500
	// maxArguments bounds parameters of a macro and keywords of a call.
	maxArguments = 255
)

// Statements. Each knows where it stands in the source.
type (
	dataStmt struct{ text string }

	outputStmt struct{ x expr }

	ifStmt struct {
		at           int
		test         expr
		body, orElse []stmt // an elif is an ifStmt alone in orElse
	}

	forStmt struct {
		at           int
		target       target
		iter, test   expr // test is nil without a filter
		body, orElse []stmt
		recursive    bool
		loop         bool // the body speaks of loop
	}

	setStmt struct {
		at     int
		target target
		x      expr
	}

	// setBlockStmt assigns what its body prints, filtered.
	setBlockStmt struct {
		at      int
		target  target
		filters []filterCall
		body    []stmt
	}

	filterStmt struct {
		at      int
		filters []filterCall
		body    []stmt
	}

	withStmt struct {
		at      int
		targets []target
		values  []expr
		body    []stmt
	}

	// scopeStmt runs its body in a scope of its own: generation and block.
	scopeStmt struct {
		body []stmt
		// top says that the body sees the template's top level instead of what is
		// around it, as a block does.
		top bool
	}

	macroStmt struct{ def *macroDef }

	// callStmt calls a macro that gets its body as caller.
	callStmt struct {
		at     int
		call   *callExpr
		caller *macroDef
	}

	jumpStmt struct{ flow flow }
)

// macroDef is a macro as written.
type macroDef struct {
	at       int
	name     string
	params   []string
	defaults []expr // of the last params
	body     []stmt
	// What the body uses beyond its parameters, and so what a call may pass.
	caller, varargs, kwargs bool
}

// target is where an assignment goes: a name, a namespace's attribute, or a tuple.
type target struct {
	at         int
	name, attr string // attr is empty for a plain name
	tuple      []target
	isTuple    bool
}

// Expressions.
type (
	constExpr struct{ v Value }

	nameExpr struct {
		at   int
		name string
	}

	listExpr struct {
		at      int
		items   []expr
		isTuple bool
	}

	dictExpr struct {
		at           int
		keys, values []expr
	}

	unaryExpr struct {
		at int
		op string // + or -
		x  expr
	}

	notExpr struct{ x expr }

	// logicExpr is and (or): the first operand that decides, as in Python.
	logicExpr struct {
		or   bool
		a, b expr
	}

	binaryExpr struct {
		at   int
		op   string
		a, b expr
	}

	// compareExpr is a chain: a < b <= c.
	compareExpr struct {
		at    int
		first expr
		ops   []string
		rest  []expr
	}

	// concatExpr is a ~ b ~ c.
	concatExpr struct {
		at    int
		parts []expr
	}

	condExpr struct {
		at              int
		test, then, els expr // els is nil where nothing was written
	}

	attrExpr struct {
		at   int
		x    expr
		name string
	}

	itemExpr struct {
		at   int
		x, i expr
	}

	sliceExpr struct{ start, stop, step expr } // nil where nothing was written

	callExpr struct {
		at   int
		fn   expr
		args argExprs
	}

	filterExpr struct {
		x expr
		filterCall
	}

	testExpr struct {
		at   int
		x    expr
		name string
		args argExprs
	}
)

// filterCall is a filter's name and arguments, without what it is applied to.
type filterCall struct {
	at   int
	name string
	args argExprs
}

// argExprs are the arguments of a call.
type argExprs struct {
	pos         []expr
	names       []string // of the keywords
	values      []expr   // of the keywords
	star, dstar expr     // *args and **kwargs, or nil
}
