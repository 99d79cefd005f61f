//! The words of SQL by which injected code is recognised, in MySQL, PostgreSQL, SQL Server, Oracle and SQLite.

use crate::model::Lexicon;

/// What a word means to the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `or`, `and`, `xor`.
    Logic,
    /// `where`, `having`, `when`, `on`: a condition follows, as after `and`.
    Condition,
    /// `not`, `binary` and the like: may precede an operand and is skipped.
    Prefix,
    /// `like`, `regexp`...: compares two operands.
    Compare,
    /// `in`
    In,
    /// `between`
    Between,
    /// `is`, `isnull`, `notnull`
    Is,
    /// `null`, `true`, `false`, `current_user`: an operand.
    Constant,
    /// `div`, `mod`, `collate`
    Arithmetic,
    /// `union`, `intersect`, `except`, `minus`.
    Union,
    /// `all`, `distinct`, `distinctrow`, `top`.
    Quantifier,
    /// `select`
    Select,
    /// `from`
    From,
    /// `into`
    Into,
    /// `outfile`, `dumpfile`
    File,
    /// `order`, `group`
    Sort,
    /// `by`
    By,
    /// `limit`, `offset`, `fetch`
    Limit,
    /// `as`
    As,
    /// `case`
    Case,
    /// `then`, `else`, `end`: parts of a case or of a block.
    Then,
    /// `if`, `iif`, `while`
    If,
    /// `insert`, `replace`, `merge`
    Insert,
    /// `update`
    Update,
    /// `delete`
    Delete,
    /// `drop`, `create`, `alter`, `truncate`, `grant`, `revoke`
    Define,
    /// `table`, `database`, `user`...: what can be dropped or created.
    Object,
    /// `exec`, `execute`, `call`
    Execute,
    /// `declare`, `prepare`, `print`
    Declare,
    /// `set`
    Set,
    /// `values`
    Values,
    /// `shutdown`
    Shutdown,
    /// `waitfor`
    Waitfor,
    /// `delay`, `time`
    Delay,
    /// `procedure`
    Procedure,
    /// Name of a function that clients only send in SQL injections.
    StrongCall,
    /// Name of a function of SQL that occurs in other languages or prose too.
    SoftCall,
    /// `sleep`: a delay in SQL, and a function of many languages.
    Sleep,
    /// A catalogue: `information_schema`, `sysobjects`, `sqlite_master`...
    Catalogue,
    /// Any other word.
    Plain,
}

/// The vocabulary.
#[rustfmt::skip]
static LEXICON: Lexicon<Word, 1024> = Lexicon::new(&[
    (Word::Logic, &["or", "and", "xor"]),
    (Word::Condition, &["where", "having", "when", "on"]),
    (Word::Prefix, &["not", "binary", "any", "some", "exists"]),
    (Word::Compare, &["like", "rlike", "regexp", "ilike", "glob", "sounds", "similar"]),
    (Word::In, &["in"]),
    (Word::Between, &["between"]),
    (Word::Is, &["is", "isnull", "notnull"]),
    (
        Word::Constant,
        &[
            "null", "true", "false", "current_user", "session_user", "system_user", "rownum", "sysdate", "utc_date",
            "utc_time", "utc_timestamp", "current_date", "current_time", "current_timestamp", "localtimestamp",
        ],
    ),
    (Word::Arithmetic, &["div", "mod", "collate"]),
    (Word::Union, &["union", "intersect", "except", "minus"]),
    (Word::Quantifier, &["all", "distinct", "distinctrow", "top"]),
    (Word::Select, &["select"]),
    (Word::From, &["from"]),
    (Word::Into, &["into"]),
    (Word::File, &["outfile", "dumpfile"]),
    (Word::Sort, &["order", "group"]),
    (Word::By, &["by"]),
    (Word::Limit, &["limit", "offset", "fetch"]),
    (Word::As, &["as"]),
    (Word::Case, &["case"]),
    (Word::Then, &["then", "else", "end"]),
    (Word::If, &["if", "iif", "while"]),
    (Word::Insert, &["insert", "replace", "merge"]),
    (Word::Update, &["update"]),
    (Word::Delete, &["delete"]),
    (Word::Define, &["drop", "create", "alter", "truncate", "grant", "revoke"]),
    (
        Word::Object,
        &[
            "table", "database", "schema", "user", "login", "function", "trigger", "view", "index", "column", "role",
            "tables", "extension", "alias", "library", "language", "assembly", "aggregate", "tablespace",
        ],
    ),
    (Word::Execute, &["exec", "execute", "call"]),
    (Word::Declare, &["declare", "prepare", "print"]),
    (Word::Set, &["set"]),
    (Word::Values, &["values"]),
    (Word::Shutdown, &["shutdown"]),
    (Word::Waitfor, &["waitfor"]),
    (Word::Delay, &["delay", "time"]),
    (Word::Procedure, &["procedure"]),
    (Word::Sleep, &["sleep"]),
    (
        Word::Catalogue,
        &[
            "information_schema", "sysobjects", "syscolumns", "sysusers", "sqlite_master", "sqlite_schema",
            "pg_catalog", "pg_tables", "pg_user", "pg_shadow", "pg_database", "pg_stat_activity", "all_tables",
            "all_users", "all_tab_columns", "user_tables", "user_tab_columns", "dba_users", "sysibm", "syscat",
            "sysmaster", "msysobjects", "msysaccessobjects", "dba_tables", "sysdatabases", "syslogins", "domain",
            "db2inst1", "v$version", "v$instance", "v$session", "rdb$database", "rdb$fields", "rdb$relations",
            "innodb_table_stats",
        ],
    ),
    (
        Word::StrongCall,
        &[
            "pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_typeof", "lo_from_bytea", "benchmark", "load_file", "extractvalue", "updatexml", "randomblob", "generate_series",
            "regexp_substring", "crypt_key", "make_set", "elt", "gtid_subset", "gtid_subtract", "json_keys",
            "json_extract", "json_value", "json_query", "json_contains", "json_search", "json_length", "json_type",
            "json_valid", "json_array_length", "json_arrayagg", "json_objectagg", "json_build_object",
            "json_build_array", "json_extract_path_text", "json_each", "json_tree", "json_agg", "json_group_array",
            "jsonb_pretty", "jsonb_extract_path", "jsonb_build_object", "jsonb_path_exists", "jsonb_path_query",
            "jsonb_array_elements", "jsonb_typeof", "jsonb_agg", "row_to_json", "to_jsonb", "openjson", "isjson",
            "unistr", "xmlagg", "xmlelement", "xmlserialize", "sqlite_compileoption_used", "pg_read_binary_file",
            "pg_stat_file", "lo_get", "dblink", "dblink_connect", "query_to_json", "loadextension", "writefile",
            "zeroblob", "fts3_tokenizer", "has_dbaccess", "object_id", "object_name", "col_name", "serverproperty",
            "original_login", "userenv", "uncompress", "find_in_set", "substring_index", "bit_count",
            "last_insert_id", "get_host_address", "ora_hash", "regexp_substr", "regexp_like", "regexp_instr",
            "quote_ident", "json_depth", "group_concat", "concat_ws", "current_setting", "sqlite_version",
            "lo_import", "lo_export", "pg_read_file", "pg_ls_dir", "database_to_xml", "query_to_xml", "xmltype",
            "is_srvrolemember", "db_name", "user_name", "suser_name", "suser_sname", "name_const", "openrowset",
            "opendatasource", "openquery", "st_latfromgeohash", "st_longfromgeohash", "st_pointfromgeohash",
            "load_extension", "xp_cmdshell", "xp_dirtree", "xp_regread", "xp_fileexist", "sp_executesql",
            "sp_oacreate", "sp_password", "sp_makewebtask", "sp_configure", "sp_addsrvrolemember", "utl_inaddr",
            "utl_http", "utl_file", "utl_smtp", "dbms_pipe", "dbms_lock", "dbms_utility", "dbms_xmlgen", "dbms_ldap",
            "dbms_xmlquery", "dbms_session", "dbms_java", "dbms_scheduler", "ctxsys", "httpuritype", "sys_context",
            "sys_eval", "sys_exec", "master_pos_wait", "get_lock", "wm_concat", "string_agg", "array_to_string",
            "to_number", "fn_listextendedproperty", "analyse", "connection_id", "aes_decrypt", "raise_error",
            "quote_literal", "pg_client_encoding", "xmlforest", "listagg", "bitand", "convert_from",
        ],
    ),
    (
        Word::SoftCall,
        &[
            "concat", "char", "chr", "ascii", "substring", "substr", "mid", "ord", "hex", "unhex", "cast", "convert",
            "count", "floor", "rand", "version", "md5", "sha1", "length", "len", "ifnull", "nvl", "coalesce",
            "nullif", "exp", "upper", "lower", "ucase", "lcase", "left", "right", "repeat", "bin", "conv",
            "greatest", "least", "row_count", "soundex", "instr", "locate", "strcmp", "reverse", "decode", "encode",
            "now", "row", "abs", "pi", "sum", "avg", "min", "max", "unicode", "nchar", "quote", "ltrim", "rtrim",
            "trim", "space", "replicate", "stuff", "field", "position", "to_char", "from_base64", "to_base64",
            "uuid", "current_database",
        ],
    ),
]);

/// Longest word that is looked up.
const MAX_WORD: usize = 26;
/// Prefixes of the names of procedures that only databases have.
const STRONG_PREFIXES: [&[u8]; 4] = [b"sp_", b"xp_", b"utl_", b"dbms_"];

/// The meaning of `word`, without regard to case.
#[inline]
pub fn meaning(word: &[u8]) -> Word {
    if word.len() < 2 || word.len() > MAX_WORD {
        return Word::Plain;
    }
    LEXICON.get(word).unwrap_or_else(|| if is_procedure(word) { Word::StrongCall } else { Word::Plain })
}

#[inline]
fn is_procedure(word: &[u8]) -> bool {
    let begins = |prefix: &&[u8]| word.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    matches!(word[0] | 0x20, b's' | b'x' | b'u' | b'd') && STRONG_PREFIXES.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::{Word, meaning};

    #[test]
    fn words_have_their_meaning_in_any_case() {
        assert_eq!(meaning(b"UnIoN"), Word::Union);
        assert_eq!(meaning(b"PG_SLEEP"), Word::StrongCall);
        assert_eq!(meaning(b"xp_anything"), Word::StrongCall);
        assert_eq!(meaning(b"selected"), Word::Plain);
        assert_eq!(meaning(b"o"), Word::Plain);
        assert_eq!(meaning(&[b'a'; 400]), Word::Plain);
    }
}
