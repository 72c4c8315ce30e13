"""PostgreSQL's own functions by their volatility, and its serial types. Pure data.

The functions are those of pg_catalog in PostgreSQL 18, and of uuid-ossp and pgcrypto, without those that only
PostgreSQL itself calls. A name with a volatile variant counts as volatile.
"""

# ruff: noqa: SIM905  # long lists of names read better as words

from __future__ import annotations

SERIALS = {
    "serial": "int4",
    "serial4": "int4",
    "bigserial": "int8",
    "serial8": "int8",
    "smallserial": "int2",
    "serial2": "int2",
}
AGGREGATES = frozenset(("count", "sum", "avg", "min", "max", "array_agg", "string_agg", "bool_and", "bool_or"))
VOLATILE = frozenset(
    (
        "array_sample array_shuffle bernoulli clock_timestamp current_query currval gen_random_bytes gen_random_uuid "
        "gen_salt lastval lo_create loread lowrite nextval pg_advisory_lock pg_advisory_unlock pg_advisory_xact_lock "
        "pg_available_wal_summaries pg_blocking_pids pg_collation_actual_version pg_current_logfile "
        "pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_database_collation_actual_version "
        "pg_export_snapshot pg_is_in_recovery pg_is_wal_replay_paused pg_jit_available pg_last_committed_xact "
        "pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_lock_status "
        "pg_logical_emit_message pg_notification_queue_usage pg_notify pg_partition_ancestors pg_partition_tree "
        "pg_safe_snapshot_blocking_pids pg_sleep pg_sleep_for pg_sleep_until pg_try_advisory_lock "
        "pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status random random_normal set_config "
        "setseed setval system timeofday txid_status uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 uuidv4 "
        "uuidv7 "
    ).split()
)
# Stable and immutable functions return the same value for every row of a statement.
STEADY = frozenset(
    (
        "abbrev abs aclcontains acldefault aclinsert aclremove acos acosd acosh age area array_append array_dims "
        "array_fill array_larger array_length array_lower array_ndims array_position array_positions array_prepend "
        "array_remove array_replace array_reverse array_smaller array_sort array_to_json array_to_string "
        "array_to_tsvector array_upper ascii asind asinh atan atan2 atan2d atand atanh bit bit_count bit_length bool "
        "bound_box box bpchar bpchar_larger bpchar_smaller broadcast btequalimage btrim btvarstrequalimage bytea "
        "bytea_larger bytea_smaller cardinality casefold cash_words cashlarger cashsmaller cbrt ceil ceiling center "
        "char char_length character_length chr cidr circle col_description concat concat_ws convert convert_from "
        "convert_to cos cosd cosh cot cotd crc32 crc32c crypt current_database current_schema current_schemas "
        "current_setting current_timestamp current_user database_to_xml database_to_xml_and_xmlschema "
        "database_to_xmlschema date date_add date_larger date_part date_smaller date_subtract date_trunc "
        "datemultirange daterange decode degrees dexp diagonal diameter digest div dlog1 dlog10 dround dtrunc encode "
        "enum_first enum_larger enum_last enum_range enum_smaller erf erfc exp extract factorial family float4 "
        "float4larger float4smaller float8 float8larger float8smaller floor format format_type gamma gcd get_bit "
        "get_byte get_current_ts_config getdatabaseencoding getpgusername height hmac host hostmask "
        "icu_unicode_version in_range inet_client_addr inet_client_port inet_merge inet_same_family inet_server_addr "
        "inet_server_port initcap int2 int2_sum int2int4_sum int2larger int2smaller int4 int4_sum int4inc int4larger "
        "int4multirange int4range int4smaller int8 int8_sum int8dec int8dec_any int8inc int8inc_any "
        "int8inc_float8_float8 int8larger int8multirange int8range int8smaller interval interval_larger "
        "interval_smaller is_normalized isclosed isempty isfinite ishorizontal isopen isparallel isperp isvertical "
        "json_array_length json_build_array json_build_object json_extract_path json_extract_path_text json_object "
        "json_populate_record json_strip_nulls json_to_record json_to_tsvector json_typeof jsonb_array_length "
        "jsonb_build_array jsonb_build_object jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object "
        "jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query_array "
        "jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz jsonb_populate_record "
        "jsonb_populate_record_valid jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record "
        "jsonb_to_tsvector jsonb_typeof justify_days justify_hours justify_interval lcm left length lgamma like "
        "like_escape line ln log log10 lower lower_inc lower_inf lpad lseg ltrim macaddr macaddr8 macaddr8_set7bit "
        "make_date make_interval make_time make_timestamp make_timestamptz makeaclitem masklen md5 min_scale mod "
        "money multirange mxid_age name nameconcatoid netmask network network_larger network_smaller normalize "
        "notlike now npoints num_nonnulls num_nulls numeric numeric_div_trunc numeric_exp numeric_inc numeric_larger "
        "numeric_ln numeric_log numeric_smaller numeric_sqrt nummultirange numnode numrange obj_description "
        "octet_length oid oidlarger oidsmaller oidvectortypes overlaps overlay parse_ident path pclose pg_backend_pid "
        "pg_basetype pg_char_to_encoding pg_client_encoding pg_collation_for pg_column_compression "
        "pg_column_is_updatable pg_column_size pg_column_toast_chunk_id pg_conf_load_time pg_current_snapshot "
        "pg_current_xact_id pg_current_xact_id_if_assigned pg_describe_object pg_encoding_max_length "
        "pg_encoding_to_char pg_get_serial_sequence pg_has_role pg_identify_object pg_identify_object_as_address "
        "pg_index_column_has_property pg_index_has_property pg_input_error_info pg_input_is_valid "
        "pg_is_other_temp_schema pg_my_temp_schema pg_partition_root pg_postmaster_start_time pg_relation_filenode "
        "pg_relation_filepath pg_relation_is_publishable pg_relation_is_updatable pg_replication_origin_oid "
        "pg_sequence_parameters pg_settings_get_flags pg_size_bytes pg_size_pretty pg_snapshot_xmax "
        "pg_split_walfile_name pg_tablespace_location pg_trigger_depth pg_typeof pg_visible_in_snapshot "
        "pg_wal_lsn_diff pg_walfile_name pg_walfile_name_offset phraseto_tsquery pi plainto_tsquery point polygon "
        "popen position postgresql_fdw_validator pow power querytree quote_ident quote_literal quote_nullable radians "
        "radius range_merge record_larger record_smaller regclass regexp_count regexp_instr regexp_like regexp_match "
        "regexp_replace regexp_split_to_array regexp_substr repeat replace reverse right round row_security_active "
        "row_to_json rpad rtrim scale schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema session_user "
        "set_bit set_byte set_masklen setweight sha224 sha256 sha384 sha512 shobj_description sign similar_escape "
        "similar_to_escape similarity sind sinh slope split_part sqrt statement_timestamp string_to_array strip "
        "strpos substr substring system_user table_to_xml table_to_xml_and_xmlschema table_to_xmlschema tan tand tanh "
        "text text_larger text_smaller textlen tidlarger tidsmaller time time_larger time_smaller timestamp "
        "timestamp_larger timestamp_smaller timestamptz timestamptz_larger timestamptz_smaller timetz timetz_larger "
        "timetz_smaller timezone to_ascii to_char to_date to_hex to_json to_jsonb to_number to_oct to_regclass "
        "to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype "
        "to_regtypemod to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim_array trim_scale "
        "trunc ts_delete ts_filter ts_headline ts_lexize ts_rank ts_rank_cd ts_rewrite tsmultirange tsquery_phrase "
        "tsrange tstzmultirange tstzrange tsvector_to_array txid_current txid_current_if_assigned "
        "txid_current_snapshot txid_snapshot_xmax txid_visible_in_snapshot unaccent unicode_assigned unicode_version "
        "unistr upper upper_inc upper_inf uuid_extract_timestamp uuid_extract_version uuid_generate_v3 "
        "uuid_generate_v5 varbit varchar version websearch_to_tsquery width width_bucket xid xid8_larger xid8_smaller "
        "xml xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlconcat2 "
        "xmlexists xmltext xpath xpath_exists "
    ).split()
)
