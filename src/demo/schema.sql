CREATE TABLE product (
    id integer NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    category text NOT NULL,
    price_cents integer NOT NULL,
    stock integer NOT NULL
);

INSERT INTO product
SELECT
    id,
    (ARRAY['Oak', 'Steel', 'Wool', 'Linen', 'Copper', 'Walnut', 'Glass', 'Slate'])[1 + id % 8]
        || ' '
        || (ARRAY['lamp', 'table', 'chair', 'shelf', 'blanket', 'bowl', 'clock'])[1 + id % 7]
        || ' No. ' || id,
    'Made to order; ships within ' || 1 + id % 9 || ' days.',
    'category-' || 1 + id % {categories},
    490 + id % 97 * 150 + id % 11 * 20,
    100000
FROM generate_series(1, {products}) AS id;

ALTER TABLE product ADD PRIMARY KEY (id);

CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    product_id integer NOT NULL REFERENCES product (id),
    quantity integer NOT NULL,
    total_cents integer NOT NULL,
    invoice_number bigint,
    placed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE invoice_number (
    series integer PRIMARY KEY,
    latest bigint NOT NULL
);

INSERT INTO invoice_number VALUES (1, 0);
