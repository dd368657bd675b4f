# Completion for holdfastctl and holdfastd in bash.  Installed under both names, as bash-completion looks for them;
# "source holdfastctl.bash" works as well.
#
# holdfastctl itself says what can stand where, and asks the daemon for names ("holdfastctl --complete WORD...").

# Takes candidates, a line each with a tab after the word, and keeps those that begin as typed.  For bash what follows
# a colon is a word of its own, so what is before it is left out of the reply.
_holdfast_reply()
{
	local typed=$1 before= word rest

	[[ $typed == *:* && $COMP_WORDBREAKS == *:* ]] && before=${typed%"${typed##*:}"}
	while IFS=$'\t' read -r word rest; do
		if [[ $word == :files ]]; then
			compopt -o filenames 2>/dev/null
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$typed")
		elif [[ $word == "$typed"* ]]; then
			COMPREPLY+=("${word#"$before"}")
		fi
	done
}

# The words up to the cursor, in $words, the last one as far as it is typed.
_holdfast_words()
{
	local line=${COMP_LINE:0:COMP_POINT}

	read -ra words <<<"$line"
	[[ $line == *[[:blank:]] ]] && words+=("")
}

_holdfastctl()
{
	local words

	COMPREPLY=()
	_holdfast_words
	_holdfast_reply "${words[-1]}" < <("$1" --complete "${words[@]:1}" 2>/dev/null)
}

_holdfastd()
{
	local words

	COMPREPLY=()
	_holdfast_words
	case ${words[-2]} in
	-c | --config | --check-table) _holdfast_reply "${words[-1]}" <<<":files" ;;
	*) _holdfast_reply "${words[-1]}" < <("$1" --help 2>/dev/null |
		sed -n 's/^  \(-[A-Za-z]\), \(--[a-z-]*\) .*/\1\n\2/p; s/^      \(--[a-z-]*\) .*/\1/p') ;;
	esac
}

complete -F _holdfastctl holdfastctl
complete -F _holdfastd holdfastd
